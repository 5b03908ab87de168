package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// text is free text of one line, at most most characters.
func text(most int) kind[string] {
	return quoted(anyText(fmt.Sprintf("text of at most %d characters on one line", most), most))
}

func anyText(want string, most int) kind[string] {
	return scalar(want, schema{"type": "string", "maxLength": most}, func(s string) (string, error) {
		switch {
		case utf8.RuneCountInString(s) > most:
			return "", &misfit{reason: "is too long"}
		case strings.ContainsFunc(s, unicode.IsControl):
			return "", &misfit{reason: "holds a control character"}
		}
		return s, nil
	})
}

// word is text of a fixed form. What a form allows never leaves the line, the file or the shell it is printed in
// (SEC-06).
func word(want, form string) kind[string] {
	match := regexp.MustCompile(form)
	return scalar(want, schema{"type": "string", "pattern": form}, func(s string) (string, error) {
		if match.MatchString(s) {
			return s, nil
		}
		meant := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(s), "-"), "-")
		if s == "" || !match.MatchString(meant) {
			meant = ""
		}
		return "", &misfit{meant: meant}
	})
}

// The names that a user gives. Those of connections become parts of log lines, metrics and file names; those of
// interfaces must fit the kernel's 15 octets.
var (
	plainName     = quoted(word("a name: a to z, 0 to 9 and -, a letter first, at most 63 characters", `^[a-z][a-z0-9-]{0,62}$`))
	tunnelName    = numberToo(word("a name: a to z, 0 to 9 and -, at most 15 characters", `^[a-z0-9][a-z0-9-]{0,14}$`))
	interfaceName = quoted(word("an interface name: a to z, 0 to 9 and -, a letter first, at most 15 characters", `^[a-z][a-z0-9-]{0,14}$`))
	// A device that exists already may be called anything that Linux allows without surprises.
	deviceName  = quoted(word("the name of an interface, at most 15 characters, or nothing", `^([A-Za-z0-9][A-Za-z0-9_.@-]{0,14})?$`))
	hostLabel   = quoted(word("a host name", `^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`))
	systemGroup = quoted(word("the name of a group", `^[a-z_][a-z0-9_-]{0,31}$`))
	label       = numberToo(word("a label: letters, digits and . _ - / :, at most 63 characters", `^[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}$`))
)

// numberToo tells editors that a bare number is as good: name: 1.
func numberToo(k kind[string]) kind[string] {
	k.schema = schema{"anyOf": []schema{k.schema, {"type": "integer", "minimum": 0}}}
	return k
}

var truth = unquoted("true or false", schema{"type": "boolean"}, func(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	meant := map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}[strings.ToLower(s)]
	return false, &misfit{meant: meant}
})

// whole is a whole number from low to high.
func whole[T ~int | ~uint32 | ~uint16](low, high int64) kind[T] {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	return unquoted(want, schema{"type": "integer", "minimum": low, "maximum": high}, func(s string) (T, error) {
		n, err := decimal(s)
		if err != nil || n < low || n > high {
			return 0, &misfit{}
		}
		return T(n), nil
	})
}

// decimal reads digits without a leading zero, which YAML and people read in two ways.
func decimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != s {
		return 0, strconv.ErrSyntax
	}
	return n, err
}

// powerOfTwo is a power of two from low to high.
func powerOfTwo(low, high int) kind[int] {
	var all []int
	for n := low; n <= high; n *= 2 {
		all = append(all, n)
	}
	return unquoted(fmt.Sprintf("a power of two from %d to %d", low, high), schema{"enum": all}, func(s string) (int, error) {
		n, err := decimal(s)
		switch {
		case err != nil || n < int64(low) || n > int64(high):
			return 0, &misfit{}
		case n&(n-1) != 0:
			up := low
			for int64(up) < n {
				up *= 2
			}
			return 0, &misfit{reason: "is not a power of two", meant: strconv.Itoa(up)}
		}
		return int(n), nil
	})
}

const durationForm = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`

// duration is a time span from low to high, written as 10s, 5m or 1h30m.
func duration(low, high time.Duration) kind[time.Duration] {
	want := fmt.Sprintf("a time from %s to %s, written as 10s, 5m or 1h30m", span(low), span(high))
	return scalar(want, orEnv(schema{"type": "string", "pattern": durationForm}), func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if _, bare := decimal(s); bare == nil {
			return 0, &misfit{reason: "has no unit", meant: s + "s"}
		}
		if err != nil || d < low || d > high {
			return 0, &misfit{}
		}
		return d, nil
	})
}

// span writes a duration as a person would.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// percent is a share, read as 0.78 from "78%".
func percent(low, high float64) kind[float64] {
	want := fmt.Sprintf("a share from %g%% to %g%%", low, high)
	return scalar(want, schema{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?%$`}, func(s string) (float64, error) {
		digits, isPercent := strings.CutSuffix(s, "%")
		n, err := strconv.ParseFloat(digits, 64)
		switch {
		case err != nil || math.IsNaN(n):
			return 0, &misfit{}
		case !isPercent && n >= low && n <= high:
			return 0, &misfit{reason: "has no %", meant: s + "%"}
		case !isPercent || n < low || n > high:
			return 0, &misfit{}
		}
		return n / 100, nil
	})
}

// moment is a point in time.
var moment = scalar("a time as 2026-11-21T10:00:00Z or a date as 2026-11-21", schema{"type": "string"}, func(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &misfit{}
})

// asn is an autonomous system number that may speak BGP with others (RFC 7607, RFC 7300, RFC 6793; R38).
var asn = unquoted("an AS number from 1 to 4294967294, but for 23456 and 65535", schema{"type": "integer", "minimum": 1, "maximum": math.MaxUint32 - 1},
	func(s string) (uint32, error) {
		n, err := decimal(s)
		switch {
		case err != nil || n < 1 || n >= math.MaxUint32:
			return 0, &misfit{}
		case n == 23456 || n == 65535:
			return 0, &misfit{reason: "is reserved"}
		}
		return uint32(n), nil
	})

// filePath is a path in the file system.
var filePath = quoted(scalar("a path without control characters", schema{"type": "string"}, func(s string) (string, error) {
	if strings.ContainsFunc(s, unicode.IsControl) || len(s) > 4096 {
		return "", &misfit{}
	}
	return s, nil
}))

// absolutePath is a path that does not depend on where the daemon was started.
var absolutePath = quoted(scalar("an absolute path", schema{"type": "string", "pattern": "^/"}, func(s string) (string, error) {
	if !strings.HasPrefix(s, "/") || strings.ContainsFunc(s, unicode.IsControl) || len(s) > 4096 {
		return "", &misfit{}
	}
	return s, nil
}))
