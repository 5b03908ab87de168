package config

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Fingerprint returns a text that is another one once one of the files that Load would read is changed, replaced, added or gone,
// be it by a link on the way that leads elsewhere now. Files are not read for it.
func Fingerprint(fsys fs.FS, names ...string) string {
	var b strings.Builder
	files, problems := findFiles(fsys, names)
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	for _, name := range files {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			fmt.Fprintf(&b, "%s:%v\n", name, err)
			continue
		}
		fmt.Fprintf(&b, "%s:%d:%v:%d", name, info.Size(), info.Mode(), info.ModTime().UnixNano())
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintf(&b, ":%d:%d:%d.%d", stat.Ino, stat.Dev, stat.Ctim.Sec, stat.Ctim.Nsec)
		}
		b.WriteString("\n")
	}
	return b.String()
}
