package config

import (
	"strings"

	"twinbore/ike/suite"
)

// A Profile is a named set of proposals, best first.
type Profile struct{ IKE, ESP []suite.Proposal }

// crypto is what a connection says of its proposals: a profile by name, and its own where it has them.
type crypto struct {
	profile string
	own     Profile
}

// The profiles that are built in, as a configuration would write them. A configuration may replace them.
var builtinProfiles = map[string]profileText{
	"modern": {
		ike: []string{"aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256", "aes256-sha256-modp2048"},
		esp: []string{"aes256gcm16-ecp384", "aes256gcm16-ecp256", "aes256-sha256-modp2048"},
	},
	// Needed by Azure's default policy and old devices.
	"compat": {
		ike: []string{"aes256-sha256-modp2048", "aes256-sha256-modp1024", "aes128-sha1-modp1024"},
		esp: []string{"aes256gcm16", "aes256-sha256", "aes128-sha1-modp1024"},
	},
}

// profileText is proposals as written.
type profileText struct{ ike, esp []string }

// mustParse reads proposals of this program's own tables.
func (t profileText) mustParse() Profile {
	var p Profile
	for _, text := range t.ike {
		p.IKE = append(p.IKE, mustProposal(suite.ParseIKE(text)))
	}
	for _, text := range t.esp {
		p.ESP = append(p.ESP, mustProposal(suite.ParseESP(text)))
	}
	return p
}

func mustProposal(p suite.Proposal, err error) suite.Proposal {
	if err != nil {
		panic("bug: a proposal that is built in: " + err.Error())
	}
	return p
}

var (
	ikeProposals = atLeastOne(list(proposal("ike", suite.ParseIKE)))
	espProposals = atLeastOne(list(proposal("esp", suite.ParseESP)))

	profileKind = object(
		must(at("ike", ikeProposals, func(p *Profile) *[]suite.Proposal { return &p.IKE }, "proposals for IKE SAs, best first")),
		must(at("esp", espProposals, func(p *Profile) *[]suite.Proposal { return &p.ESP }, "proposals for ESP SAs, best first")),
	)
	ownProposals = object(
		at("ike", ikeProposals, func(p *Profile) *[]suite.Proposal { return &p.IKE }, "proposals for IKE SAs, best first"),
		at("esp", espProposals, func(p *Profile) *[]suite.Proposal { return &p.ESP }, "proposals for ESP SAs, best first"),
	)
)

// proposal is one alternative as strongSwan writes it.
func proposal(protocol string, parse func(string) (suite.Proposal, error)) kind[suite.Proposal] {
	return scalar("", schema{"type": "string", "pattern": "^[a-z0-9_]+(-[a-z0-9_]+)*$"}, func(s string) (suite.Proposal, error) {
		p, err := parse(s)
		if err != nil {
			// The error quotes the proposal, and so does the message it becomes part of.
			text := strings.TrimPrefix(err.Error(), strings.ToUpper(protocol)+" proposal ")
			_, reason, found := strings.Cut(text, ": ")
			if !found {
				reason = err.Error()
			}
			return p, &misfit{reason: "is no " + protocol + " proposal: " + reason}
		}
		return p, nil
	})
}

// atLeastOne refuses an empty list.
func atLeastOne[T any](k kind[[]T]) kind[[]T] {
	return kind[[]T]{
		schema: schema{"type": "array", "items": k.schema["items"], "minItems": 1},
		read: func(r *reader, p place, into *[]T) {
			if isNull(p.node) || shape(p.node) == "a list" && len(p.node.Content) == 0 {
				r.refuse(p, "found nothing", "a list of at least one", "")
				return
			}
			k.read(r, p, into)
		},
	}
}

// cryptoKind is the name of a profile, or proposals.
var cryptoKind = kind[crypto]{
	schema: schema{"anyOf": []schema{plainName.schema, ownProposals.schema}},
	read: func(r *reader, p place, into *crypto) {
		if shape(p.node) == "a mapping" {
			ownProposals.read(r, p, &into.own)
			return
		}
		var profile string
		if plainName.read(r, p, &profile); profile != "" {
			*into = crypto{profile: profile}
		}
	},
}
