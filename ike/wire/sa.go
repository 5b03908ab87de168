package wire

// MaxProposals and MaxTransforms bound an SA payload: proposals in all, and transforms in each. More is an error
// before any is stored. Nobody needs more than a dozen of either.
const (
	MaxProposals  = 64
	MaxTransforms = 128
)

// An SA offers proposals, or answers with the one chosen (RFC 7296 §3.3). It is a row of them and nothing else.
// Structure is checked here; whether numbers, SPI sizes, transforms and attributes make sense is for ike/suite.
type SA struct{ Proposals []Proposal }

// A Proposal is one alternative (RFC 7296 §3.3.1).
//
//	┌─1──────────┬─1────────┬─2──────┐
//	│ 2 more     │ reserved │ length │
//	│ 0 last     │          │        │
//	├─1──────┬─1─┴──────┬─1─┴──────┬─1──────────┬─ … ──┬─ … ─────────┐
//	│ number │ protocol │ SPI size │ transforms │ SPI  │ transforms  │
//	└────────┴──────────┴──────────┴────────────┴──────┴─────────────┘
type Proposal struct {
	Number     uint8 // 1 for the first offered; the answer repeats it
	Protocol   ProtocolID
	SPI        []byte // of the sender, 0 to 255 octets: ESP 4, IKE 0 or, in a rekey, 8
	Transforms []Transform
}

// Values of the first octet of a proposal and of a transform (RFC 7296 §3.3.1, §3.3.2).
const (
	isLast        = 0
	moreProposals = 2
	moreTransform = 3
)

// Type returns TypeSA.
func (*SA) Type() PayloadType { return TypeSA }

func parseSA(c *cursor) *SA {
	sa := new(SA)
	for more := true; more && !c.failed(); {
		if len(sa.Proposals) == MaxProposals {
			c.fail("SA payload", "more than %d proposals", MaxProposals)
			break
		}
		var p Proposal
		p, more = parseProposal(c)
		sa.Proposals = append(sa.Proposals, p)
	}
	return sa
}

func parseProposal(c *cursor) (p Proposal, more bool) {
	more = parseLast(c, moreProposals, "proposal last flag")
	c.skip(1, "proposal reserved")
	body := c.sub(int(c.u16("proposal length"))-4, "proposal length")
	p.Number = body.u8("proposal number")
	p.Protocol = ProtocolID(body.u8("proposal protocol"))
	spiLen, transforms := int(body.u8("proposal SPI size")), int(body.u8("transform count"))
	p.SPI = body.clone(spiLen, "proposal SPI")
	if transforms > MaxTransforms {
		body.fail("transform count", "%d, %d are the limit", transforms, MaxTransforms)
	}
	if transforms*transformLen > body.left() {
		body.fail("transform count", "%d in %d octets", transforms, body.left())
	}
	for i := 0; i < transforms && !body.failed(); i++ {
		if i == 0 {
			p.Transforms = make([]Transform, 0, transforms)
		}
		t, more := parseTransform(&body)
		if last := i == transforms-1; more == last {
			body.fail("transform last flag", "does not agree with the count of %d", transforms)
		}
		p.Transforms = append(p.Transforms, t)
	}
	body.end("proposal")
	return p, more
}

// parseLast reads the octet that says whether another structure of the kind follows.
func parseLast(c *cursor, moreValue uint8, field string) bool {
	v := c.u8(field)
	if v != isLast && v != moreValue {
		c.fail(field, "%d, must be 0 or %d", v, moreValue)
	}
	return v == moreValue
}

func (sa *SA) appendBody(b []byte) []byte {
	for i, p := range sa.Proposals {
		start := len(b)
		flag := byte(moreProposals)
		if i == len(sa.Proposals)-1 {
			flag = isLast
		}
		b = append(b, flag, 0, 0, 0, p.Number, byte(p.Protocol), count8(len(p.SPI), "octets of SPI"),
			count8(len(p.Transforms), "transforms"))
		b = append(b, p.SPI...)
		for j, t := range p.Transforms {
			b = t.append(b, j == len(p.Transforms)-1)
		}
		putLen(b, start, 2)
	}
	return b
}
