package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// firewallFormats are the ways to write rules.
var firewallFormats = map[string]func([]hostRule) string{"nft": nftables, "iptables": iptables, "text": plainRules}

// nftables writes commands for nft. The chains are made where there are none; of one that is there the policy stays.
func nftables(rules []hostRule) string {
	var out strings.Builder
	out.WriteString("add table inet filter\n")
	for _, chain := range []string{"input", "output", "forward"} {
		if slices.ContainsFunc(rules, func(r hostRule) bool { return r.chain == chain }) {
			fmt.Fprintf(&out, "add chain inet filter %s { type filter hook %s priority filter; }\n", chain, chain)
		}
	}
	for i, r := range rules {
		ip := "ip"
		if r.ip6 {
			ip = "ip6"
		}
		words := []string{"insert rule inet filter", r.chain}
		if r.device != "" {
			words = append(words, fmt.Sprintf("iifname %q", r.device))
		}
		if r.toDevice != "" {
			words = append(words, fmt.Sprintf("oifname %q", r.toDevice))
		}
		if r.from == nil && r.to == nil {
			words = append(words, "meta nfproto", map[bool]string{false: "ipv4", true: "ipv6"}[r.ip6])
		}
		if r.from != nil {
			words = append(words, ip, "saddr", nftSet(r.from))
		}
		if r.to != nil {
			words = append(words, ip, "daddr", nftSet(r.to))
		}
		switch {
		case r.esp:
			words = append(words, "meta l4proto esp")
		case r.udp != nil:
			words = append(words, "udp", r.ourPort("dport", "sport"), fmt.Sprintf("{ %d, %d }", r.udp[0], r.udp[1]))
		}
		words = append(words, "accept", fmt.Sprintf("comment %q", "twinbore "+r.conn))
		explain(&out, rules, i)
		fmt.Fprintln(&out, strings.Join(words, " "))
	}
	return out.String()
}

// explain writes what rule i is for, unless the one before it says so already.
func explain(out *strings.Builder, rules []hostRule, i int) {
	if i == 0 || rules[i-1].why != rules[i].why {
		fmt.Fprintf(out, "# %s\n", rules[i].why)
	}
}

// ourPort chooses between the words for the destination's port and the source's.
func (r hostRule) ourPort(destination, source string) string {
	if r.chain == "output" {
		return source
	}
	return destination
}

func nftSet(list []netip.Prefix) string {
	if len(list) == 1 {
		return plainPrefix(list[0])
	}
	return "{ " + joined(list, ", ") + " }"
}

// plainPrefix is a prefix as firewalls write it: a host without its length.
func plainPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func joined(list []netip.Prefix, between string) string {
	var words []string
	for _, p := range list {
		words = append(words, plainPrefix(p))
	}
	return strings.Join(words, between)
}

// iptables writes a script for sh.
func iptables(rules []hostRule) string {
	var out strings.Builder
	for i, r := range rules {
		words := []string{"iptables", "-I", strings.ToUpper(r.chain)}
		if r.ip6 {
			words[0] = "ip6tables"
		}
		option := func(name, value string) {
			if value != "" {
				words = append(words, name, value)
			}
		}
		option("-i", r.device)
		option("-o", r.toDevice)
		option("-s", joined(r.from, ","))
		option("-d", joined(r.to, ","))
		switch {
		case r.esp:
			option("-p", "esp")
		case r.udp != nil:
			option("-p", "udp")
			words = append(words, "-m", "multiport", r.ourPort("--dports", "--sports"), fmt.Sprintf("%d,%d", r.udp[0], r.udp[1]))
		}
		words = append(words, "-m", "comment", "--comment", fmt.Sprintf("%q", "twinbore "+r.conn), "-j", "ACCEPT")
		explain(&out, rules, i)
		fmt.Fprintln(&out, strings.Join(words, " "))
	}
	return out.String()
}

// plainRules writes a table for people who enter rules elsewhere.
func plainRules(rules []hostRule) string {
	rows := [][]string{{"CONNECTION", "CHAIN", "FROM", "TO", "WHAT", "WHY"}}
	for _, r := range rules {
		what := "every protocol"
		switch {
		case r.esp:
			what = "IP protocol 50"
		case r.udp != nil:
			what = fmt.Sprintf("UDP %s %d, %d", r.ourPort("to", "from"), r.udp[0], r.udp[1])
		}
		rows = append(rows, []string{r.conn, r.chain, r.end(r.from, r.device), r.end(r.to, r.toDevice), what, r.why})
	}
	var out strings.Builder
	writeRows(&out, rows, func(cell, _ string) string { return cell })
	return out.String()
}

// end is one end of a rule.
func (r hostRule) end(list []netip.Prefix, device string) string {
	text := joined(list, ", ")
	if text == "" {
		text = map[bool]string{false: "any (IPv4)", true: "any (IPv6)"}[r.ip6]
	}
	if device != "" {
		text += " by " + device
	}
	return text
}
