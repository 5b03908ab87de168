package wire

import (
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	ps := []Payload{&SA{}, &KE{}, &Nonce{}, &ID{Initiator: true}, &ID{}, &Cert{}, &CertReq{}, &Auth{}, &TS{Initiator: true}, &TS{},
		&Delete{}, &VendorID{}, &Notify{Kind: NotifyCookie}, &Notify{Kind: 40000}, &Unknown{Kind: TypeCP}, &Unknown{Kind: 200}}
	want := "SA KE No IDi IDr CERT CERTREQ AUTH TSi TSr D V N(COOKIE) N(NOTIFY_40000) CP PAYLOAD_200"
	if got := Describe(ps); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := Describe(nil); got != "" {
		t.Errorf("nothing: got %q", got)
	}
	long := make([]Payload, 1000)
	for i := range long {
		long[i] = &SA{}
	}
	if got := strings.Count(Describe(long), "SA"); got != MaxPayloads {
		t.Errorf("1000 payloads: %d words, want %d", got, MaxPayloads)
	}
}

func TestNumbersHaveNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{IKESAInit.String(), "IKE_SA_INIT"}, {IKEAuth.String(), "IKE_AUTH"}, {CreateChildSA.String(), "CREATE_CHILD_SA"},
		{Informational.String(), "INFORMATIONAL"}, {IKEIntermediate.String(), "IKE_INTERMEDIATE"},
		{IKEFollowupKE.String(), "IKE_FOLLOWUP_KE"}, {ExchangeType(4).String(), "EXCHANGE_4"},
		{TypeSKF.String(), "SKF"}, {None.String(), "NONE"}, {PayloadType(8).String(), "PAYLOAD_8"},
		{ProtoESP.String(), "ESP"}, {ProtocolID(255).String(), "PROTOCOL_255"},
		{TransformENCR.String(), "ENCR"}, {TransformADDKE7.String(), "ADDKE7"}, {TransformType(13).String(), "TRANSFORM_13"},
		{AuthSharedKey.String(), "SHARED_KEY"}, {AuthMethod(200).String(), "AUTH_200"},
		{IDKeyID.String(), "KEY_ID"}, {IDType(4).String(), "ID_4"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
