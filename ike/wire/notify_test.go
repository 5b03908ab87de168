package wire

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
)

func TestNotifyHasTheFormOfTheRFC(t *testing.T) { // RFC 7296 §3.10
	wire := []byte{3, 4, 0x40, 0x09, 1, 2, 3, 4, 'd'}
	want := &Notify{Protocol: ProtoESP, SPI: []byte{1, 2, 3, 4}, Kind: NotifyRekeySA, Data: []byte("d")}
	if got := one[*Notify](t, TypeNotify, raw(None, 0, wire...)); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	if got := body(want); !bytes.Equal(got, wire) {
		t.Errorf("wrote %x, want %x", got, wire)
	}
}

func TestNotifySPISizeMustFit(t *testing.T) { // MAL-16
	for _, size := range []byte{5, 8, 255} {
		refused(t, "SPI longer than the payload", TypeNotify, raw(None, 0, 3, size, 0x40, 0x09, 1, 2, 3, 4))
	}
}

// TestNotifyContentIsNotJudged: protocols, sizes and data that make no sense are for ike/ikev2, which ignores them
// (RFC 7296 §3.10.1) and needs them whole for that.
func TestNotifyContentIsNotJudged(t *testing.T) { // MAL-16, CVE-2023-38710
	for _, n := range []*Notify{
		{Protocol: 0, Kind: NotifyRekeySA}, {Protocol: ProtoIKE, SPI: make([]byte, 8), Kind: NotifyRekeySA},
		{Protocol: 255, SPI: make([]byte, 255), Kind: NotifyRekeySA}, {Kind: NotifyNATDetectionSourceIP, Data: make([]byte, 19)},
		{Kind: NotifyCookie}, {Kind: NotifyCookie, Data: make([]byte, 65)}, {Kind: 8191}, {Kind: 40000}, {Kind: 0},
	} {
		if got := one[*Notify](t, TypeNotify, AppendPayloads(nil, []Payload{n})); !reflect.DeepEqual(got, n) {
			t.Errorf("read %+v, want %+v", got, n)
		}
	}
}

func TestNotifyTypes(t *testing.T) {
	for kind, want := range map[NotifyType]string{14: "NO_PROPOSAL_CHOSEN", 16390: "COOKIE", 40000: "NOTIFY_40000", 0: "NOTIFY_0"} {
		if got := kind.String(); got != want {
			t.Errorf("type %d is called %q, want %q", kind, got, want)
		}
	}
	for kind, want := range map[NotifyType]bool{0: true, 24: true, 8191: true, 16383: true, 16384: false, 65535: false} {
		if kind.IsError() != want {
			t.Errorf("type %d: error %v, want %v", kind, !want, want)
		}
	}
}

// TestNotifyNamesAgree reads notify.go: each constant has a name in the table, the same but for case and underscores,
// and an RFC beside it.
func TestNotifyNamesAgree(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "notify.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string) // constant → name in the table
	var constants []*ast.ValueSpec
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "NotifyType" {
				constants = append(constants, n)
			}
		case *ast.KeyValueExpr:
			if text, ok := n.Value.(*ast.BasicLit); ok {
				names[n.Key.(*ast.Ident).Name] = strings.Trim(text.Value, `"`)
			}
		}
		return true
	})
	if len(constants) < 60 || len(constants) != len(names) || len(names) != len(notifyNames) {
		t.Errorf("%d constants, %d names, %d in the table, want the same", len(constants), len(names), len(notifyNames))
	}
	for _, c := range constants {
		id := c.Names[0].Name
		if got := "Notify" + strings.ReplaceAll(names[id], "_", ""); !strings.EqualFold(got, id) {
			t.Errorf("%s is called %q in the table", id, names[id])
		}
		if !strings.HasPrefix(c.Comment.Text(), "RFC ") {
			t.Errorf("%s has no RFC beside it", id)
		}
	}
}
