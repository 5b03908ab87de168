// Package arch keeps the rules that the project set itself, as tests. It has no code of its own: `go test` reads the
// source of the whole module, and each rule that is broken is named with its file and line.
//
//	imports_test.go    which package may see which; a package that is not in the table is refused
//	rules_test.go      one place that compares versions, no exit and no global logger below main, no clock in the cores …
//	docs_test.go       every package tells its story, every exported name has its sentence
//	rfc_test.go        each requirement of testdata/rfc is cited by what fulfils or shows it, or says why it is not done
//	security_test.go   each hostile input of testdata/security is shown by the tests that it names
//
// tree_test.go reads the source once for all of them. Not done: the README's tables, and the deletion test that takes
// one version of IKE out and builds the rest; they come with what they check.
//
// Start reading at imports_test.go: its table is the plan of the house.
package arch
