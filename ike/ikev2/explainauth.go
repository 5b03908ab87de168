package ikev2

import (
	"errors"
	"fmt"
	"slices"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// What Offers are about where the peer's identity, or its proof, is not believed. They are for our operator alone: the peer
// learns AUTHENTICATION_FAILED, whatever it is (AUT-01, AUT-04).
const (
	aboutIdentity    = "identity"
	aboutKey         = "pre-shared key"
	aboutCertificate = "certificate"
)

// identityRows compare who each end is with whom the other takes it for. claimed is who the peer says that it is, asked whom
// it wants us to be, if it said so.
func identityRows(cfg *Config, own, claimed, asked auth.ID) []session.Row {
	theirs := session.Row{What: "the peer is", Ours: []string{"anybody"}, Theirs: []string{claimed.String()}, Differs: claimed.Equal(own)}
	if cfg.RemoteID != (auth.ID{}) {
		theirs.Ours = []string{cfg.RemoteID.String()}
		theirs.Differs = theirs.Differs || !cfg.RemoteID.Equal(claimed)
	}
	ours := session.Row{What: "we are", Ours: []string{own.String()}, Theirs: []string{"not said"}}
	if asked != (auth.ID{}) {
		ours.Theirs, ours.Differs = []string{asked.String()}, !own.Equal(asked)
	}
	return []session.Row{theirs, ours}
}

// strange is the side of the end that began, of an identity that is not whom it called.
func (s *SA) strange(claimed auth.ID) *session.Offers {
	cfg := &s.p.cfg
	return &session.Offers{About: aboutIdentity, Told: true, Rows: identityRows(cfg, cfg.ownID(s.path), claimed, auth.ID{})}
}

// mistaken explains why no candidate is who the peer claims to be.
func (s *SA) mistaken(claimed, asked auth.ID) *session.Offers {
	var each [][]session.Row
	for i := range s.p.candidates {
		cfg := &s.p.candidates[i]
		rows := identityRows(cfg, cfg.ownID(s.path), claimed, asked)
		if !slices.ContainsFunc(rows, func(r session.Row) bool { return r.Differs }) {
			rows = append(rows, session.Row{What: aboutIKE, Ours: proposalTexts(cfg.IKE), Theirs: []string{s.suite.String()}, Differs: true})
		}
		each = append(each, rows)
	}
	return &session.Offers{About: aboutIdentity, Told: true, Rows: s.p.forEach(each)}
}

// forEach joins what was found out for each candidate. Where that is the same for all, as between the tunnels of one
// connection, it is said once.
func (p *peer) forEach(rows [][]session.Row) (out []session.Row) {
	for i, list := range rows {
		if i > 0 && sameRows(list, rows[0]) {
			continue
		}
		for _, r := range list {
			if !slices.ContainsFunc(rows, func(other []session.Row) bool { return !sameRows(other, rows[0]) }) {
				out = append(out, r)
				continue
			}
			r.What = p.candidates[i].Peer + ": " + r.What
			out = append(out, r)
		}
	}
	return out
}

func sameRows(a, b []session.Row) bool {
	return slices.EqualFunc(a, b, func(x, y session.Row) bool {
		return x.What == y.What && x.Differs == y.Differs && slices.Equal(x.Ours, y.Ours) && slices.Equal(x.Theirs, y.Theirs)
	})
}

// mismatchedAll is mismatched for several candidates, each with the error of its choice; nil where one is another error.
func (p *peer) mismatchedAll(errs []error) *session.Offers {
	var out *session.Offers
	var each [][]session.Row
	for _, err := range errs {
		m, ok := errors.AsType[*suite.Mismatch](err)
		if !ok {
			return nil
		}
		one := mismatched(m)
		each = append(each, one.Rows)
		if out == nil {
			out = one
			continue
		}
		for _, text := range one.Ours {
			if !slices.Contains(out.Ours, text) {
				out.Ours = append(out.Ours, text)
			}
		}
	}
	if out != nil {
		out.Rows = p.forEach(each)
	}
	return out
}

// explainProof explains why the peer's proof that it is claimed is not believed. err is what is wrong with it; secrets are
// those that were tried, of which it tells the names.
func (s *SA) explainProof(cfg *Config, claimed auth.ID, m *message, secrets []auth.Secret, err error) *session.Offers {
	asked := auth.ID{}
	if m.idr != nil && !s.initiator {
		asked, _ = auth.FromWire(m.idr) // one that cannot be read asks for nobody
	}
	out := &session.Offers{About: aboutKey, Told: true, Rows: identityRows(cfg, cfg.ownID(s.path), claimed, asked)}
	certificates := cfg.Auth.Certified(cfg.Peer)
	byKey := m.auth.Method == wire.AuthSharedKey
	method := session.Row{What: "method", Ours: []string{"pre-shared key"}, Theirs: []string{methodText(m.auth.Method)}, Differs: !byKey}
	if certificates != nil {
		out.About, method.Ours, method.Differs = aboutCertificate, []string{"certificate"}, byKey
	}
	out.Rows = append(out.Rows, method)
	switch {
	case method.Differs:
	case certificates == nil:
		row := session.Row{What: aboutKey, Theirs: []string{"another one"}, Differs: true}
		for _, secret := range secrets {
			row.Ours = append(row.Ours, secret.Name)
		}
		out.Rows = append(out.Rows, row)
	default:
		out.Rows = append(out.Rows, certificateRows(certificates.Trust, m.certs, err)...)
	}
	return out
}

// certificateRows show what the peer sent, whom we believe, and which check found what.
func certificateRows(trust *auth.Trust, certs []*wire.Cert, err error) (rows []session.Row) {
	for i, facts := range auth.DescribeCerts(certs) {
		rows = append(rows, session.Row{What: fmt.Sprintf("certificate %d", i+1), Theirs: facts})
	}
	check := "trusted certificate"
	switch {
	case errors.Is(err, auth.ErrIdentity):
		check = "identity in the certificate"
	case errors.Is(err, auth.ErrSignature):
		check = "signature"
	}
	return append(rows, session.Row{What: "authorities", Ours: trust.Names()},
		session.Row{What: "check", Ours: []string{check}, Theirs: []string{err.Error()}, Differs: true})
}

// rejected is our side of an IKE_AUTH that the peer refuses, of which it says no more than that.
func (s *SA) rejected() *session.Offers {
	cfg := &s.p.cfg
	them := "anybody"
	if cfg.RemoteID != (auth.ID{}) {
		them = cfg.RemoteID.String()
	}
	out := &session.Offers{About: aboutIdentity, Rows: []session.Row{{What: "we are", Ours: []string{s.localID}}, {What: "the peer is", Ours: []string{them}}}}
	if c := cfg.Auth.Certified(cfg.Peer); c != nil {
		out.Rows = append(out.Rows, session.Row{What: "method", Ours: []string{"certificate"}})
		for i, signer := range c.Signers {
			out.Rows = append(out.Rows, session.Row{What: fmt.Sprintf("certificate %d", i+1), Ours: signer.Describe()})
		}
		return out
	}
	return &session.Offers{About: aboutIdentity, Rows: append(out.Rows, session.Row{What: "method", Ours: []string{"pre-shared key"}})}
}

func methodText(m wire.AuthMethod) string {
	if m == wire.AuthSharedKey {
		return "pre-shared key"
	}
	return m.String()
}

func proposalTexts(list []suite.Proposal) (out []string) {
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}
