//go:build !linux

package datapath

func preferHugePages([]byte) {}
