package ikev2

import (
	"twinbore/esp"
	"twinbore/ike/wire"
)

// A message is one that was parsed whole and, after IKE_SA_INIT, was authentic.
type message struct {
	wire.Header
	raw  []byte   // the datagram; valid while it is handled
	path esp.Path // where it came from

	covered []byte // of an IKE_INTERMEDIATE: what AUTH covers of it (RFC 9242 §3.3.2)

	request *request // ours, if this answers one

	payloads []wire.Payload
	has      payloads // single payloads that are there
	doubled  payloads // single payloads that are there twice

	sa       *wire.SA
	ke       *wire.KE
	nonce    *wire.Nonce
	idi, idr *wire.ID
	auth     *wire.Auth
	tsi, tsr *wire.TS
	certs    []*wire.Cert    // in their order: the first holds the key of AUTH (RFC 7296 §3.6)
	certReqs []*wire.CertReq // what the sender would like to be shown
	notifies []*wire.Notify
	deletes  []*wire.Delete
}

// payloads is a set of payload types that a message may carry once.
type payloads uint16

const (
	pSA payloads = 1 << iota
	pKE
	pNonce
	pIDi
	pIDr
	pAuth
	pTSi
	pTSr
)

// sort files the payloads by type. Types that may come once and come twice are noted for the rules.
func (m *message) sort(list []wire.Payload) {
	m.payloads = list
	once := func(p payloads) bool {
		if m.has&p != 0 {
			m.doubled |= p
			return false
		}
		m.has |= p
		return true
	}
	for _, payload := range list {
		switch p := payload.(type) {
		case *wire.SA:
			if once(pSA) {
				m.sa = p
			}
		case *wire.KE:
			if once(pKE) {
				m.ke = p
			}
		case *wire.Nonce:
			if once(pNonce) {
				m.nonce = p
			}
		case *wire.ID:
			if p.Initiator && once(pIDi) {
				m.idi = p
			} else if !p.Initiator && once(pIDr) {
				m.idr = p
			}
		case *wire.Auth:
			if once(pAuth) {
				m.auth = p
			}
		case *wire.TS:
			if p.Initiator && once(pTSi) {
				m.tsi = p
			} else if !p.Initiator && once(pTSr) {
				m.tsr = p
			}
		case *wire.Cert:
			m.certs = append(m.certs, p)
		case *wire.CertReq:
			m.certReqs = append(m.certReqs, p)
		case *wire.Notify:
			m.notifies = append(m.notifies, p)
		case *wire.Delete:
			m.deletes = append(m.deletes, p)
		}
	}
}

// notify returns the first notify of a kind, or nil.
func (m *message) notify(kind wire.NotifyType) *wire.Notify {
	for _, n := range m.notifies {
		if n.Kind == kind {
			return n
		}
	}
	return nil
}

// refusal returns the first error notify as an error; an unknown one counts as well (RFC 7296 §3.10.1).
func (m *message) refusal() *peerError {
	for _, n := range m.notifies {
		if n.Kind.IsError() {
			return &peerError{notify: n.Kind, data: n.Data}
		}
	}
	return nil
}
