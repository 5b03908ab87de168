// Package vectors reads the test vectors in testdata/vectors for the tests of any package. It is not part of the
// program.
//
// A file holds cases with a blank line between them, a case holds lines of "key: value", and a line that begins with a
// blank continues the value above it, so that long hexadecimal can be broken. "#" begins a comment at the start of a line:
//
//	# RFC 7634 Appendix A
//	name: icmp echo
//	key: 80818283 84858687
//	  88898a8b 8c8d8e8f
//	expect: ok
//
// What the keys mean is between the file and the test that reads it; "expect" holds the verdict.
// testdata/vectors/README.md has the list.
//
// Start reading at Load.
package vectors
