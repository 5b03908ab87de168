// Package arch keeps the rules that the project set itself, as tests. It has no code of its own: `go test` reads the
// source of the whole module, and each rule that is broken is named with its file and line.
//
//	imports_test.go    which package may see which; a package that is not in the table is refused
//	rules_test.go      one place that compares versions, no exit and no global logger below main, no clock in the cores …
//	docs_test.go       every package tells its story, every exported name has its sentence
//	rfc_test.go        each requirement of testdata/rfc is shown by a test or a transcript, or says why it is not done
//	security_test.go   each hostile input of testdata/security is shown by the tests that it names
//	readme_test.go     the README's tables of algorithms and of RFCs are those of ike/suite and testdata/rfc
//
// tree_test.go reads the source once for all of them. Not done: the deletion test that takes one version of IKE out and
// builds the rest; it comes with what it checks.
//
// Start reading at imports_test.go: its table is the plan of the house.
package arch
