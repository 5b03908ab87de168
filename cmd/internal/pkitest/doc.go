// Package pkitest makes authorities, certificates, keys and revocation lists for tests, and writes them as files.
//
//	New ──► Authority ──┬─ Issue(Request) ──► Identity ──► WriteCert, WriteKey
//	                    ├─ Below ──► Authority
//	                    └─ WriteCert, WriteCRL
//
// Everything belongs to the test that asked for it.
package pkitest
