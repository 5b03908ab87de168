// Command asm writes the assembler files of package gcm, one directory up. It is a module of its own, so that its
// libraries are no part of the program's; run it by `go generate ./esp/protect/gcm`.
//
//	avx512_amd64.s    the kernels on vectors of 64 octets (kernel.go, with wide)
//	avx2_amd64.s      the same on vectors of 32
//	setup_amd64.s     what a key and the choice of a kernel need (setup.go)
//
// A kernel is written once and comes out for each width and key length. Start reading at kernel.go (the way of a packet),
// then ghash.go (the arithmetic) and tail.go (what is left after the last whole batch).
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	for name, emit := range map[string]func(*build.Context){
		"avx512_amd64.s": func(c *build.Context) { kernels(c, true) },
		"avx2_amd64.s":   func(c *build.Context) { kernels(c, false) },
		"setup_amd64.s":  setup,
	} {
		if err := write(filepath.Join("..", name), emit); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
}

// write lets emit fill a file.
func write(name string, emit func(*build.Context)) error {
	c := build.NewContext()
	emit(c)
	file, err := c.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	text, err := printer.NewGoAsm(printer.Config{Name: "esp/protect/gcm/asm", Pkg: "gcm"}).Print(file)
	if err != nil {
		return err
	}
	sum, err := sources()
	if err != nil {
		return err
	}
	head, body, _ := strings.Cut(string(text), "\n")
	return os.WriteFile(name, fmt.Appendf(nil, "%s\n// Sources: %x\n%s", head, sum, body), 0o644)
}

// sources returns the SHA-256 of this program, which a test of package gcm compares: a change here without a new
// `go generate` is found without running it.
func sources() ([]byte, error) {
	names, err := filepath.Glob("*.go")
	h := sha256.New()
	for _, name := range names { // sorted by Glob
		text, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr)
		h.Write(text)
	}
	return h.Sum(nil), err
}

// kernels emits seal and open for both key lengths.
func kernels(c *build.Context, wide bool) {
	k := newConstants(c, wide)
	for _, rounds := range []int{10, 14} {
		for _, seal := range []bool{true, false} {
			newKernel(c, k, wide, rounds, seal).emit()
		}
	}
}
