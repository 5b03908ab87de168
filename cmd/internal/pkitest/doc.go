// Package pkitest makes authorities, certificates, keys and revocation lists for tests, and writes them as files.
//
//	New ──► Authority ──┬─ Issue(Request) ──► Identity ──► WriteCert, WriteKey
//	                    └─ WriteCert, WriteCRL
//
// Everything belongs to the test that asked for it. Not done: authorities below authorities, which ike/auth tests for
// itself.
package pkitest
