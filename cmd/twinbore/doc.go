// Command twinbore is the gateway and its command line in one binary.
//
//	main.go      the list of subcommands, global flags, and how an error becomes an exit code
//	<verb>.go    one subcommand each: a function from *app to *cobra.Command, and a line in main.go's list
//	exit.go      the exit codes, which are a contract with scripts
//	load.go      the configuration files that -c and the defaults name
//
// A subcommand writes its result to app.out and what it has to say about it to app.err. It returns an error and prints
// none: main does. failure(code, err) chooses the exit code, and any other error means 1.
//
// What a user sees is tested by the scripts in testdata/script.
//
// Start reading at main.go, then version.go.
package main
