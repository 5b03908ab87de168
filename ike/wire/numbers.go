package wire

import "strconv"

// A Version is the version octet of the header: the major version in the upper four bits, the minor in the lower
// (RFC 7296 §3.1). Only the major version counts when a message is received.
type Version uint8

const (
	V1 Version = 0x10 // IKEv1, RFC 2409
	V2 Version = 0x20 // IKEv2, RFC 7296
)

// Major returns the major version, 0 to 15.
func (v Version) Major() int { return int(v >> 4) }

// An ExchangeType says which exchange a message belongs to (RFC 7296 §3.1).
type ExchangeType uint8

const (
	IKESAInit        ExchangeType = 34 // RFC 7296 §1.2
	IKEAuth          ExchangeType = 35 // RFC 7296 §1.2
	CreateChildSA    ExchangeType = 36 // RFC 7296 §1.3
	Informational    ExchangeType = 37 // RFC 7296 §1.4
	IKESessionResume ExchangeType = 38 // RFC 5723
	IKEIntermediate  ExchangeType = 43 // RFC 9242
	IKEFollowupKE    ExchangeType = 44 // RFC 9370
)

var exchangeNames = map[ExchangeType]string{
	IKESAInit: "IKE_SA_INIT", IKEAuth: "IKE_AUTH", CreateChildSA: "CREATE_CHILD_SA", Informational: "INFORMATIONAL",
	IKESessionResume: "IKE_SESSION_RESUME", IKEIntermediate: "IKE_INTERMEDIATE", IKEFollowupKE: "IKE_FOLLOWUP_KE",
}

// String returns the name of the RFC, "IKE_SA_INIT", or "EXCHANGE_99".
func (t ExchangeType) String() string { return name(exchangeNames, t, "EXCHANGE_") }

// Flags is the flags octet of the header (RFC 7296 §3.1). Bits without a name here are ignored on receipt.
type Flags uint8

const (
	FlagInitiator Flags = 0x08 // sent by the end that began the IKE SA
	FlagVersion   Flags = 0x10 // the sender could speak a higher major version; ignored
	FlagResponse  Flags = 0x20 // an answer to the request with the same message ID
)

// A PayloadType names a payload in the Next Payload field before it (RFC 7296 §3.2).
type PayloadType uint8

const (
	None         PayloadType = 0  // no payload follows
	TypeSA       PayloadType = 33 // RFC 7296 §3.3
	TypeKE       PayloadType = 34 // RFC 7296 §3.4
	TypeIDi      PayloadType = 35 // RFC 7296 §3.5
	TypeIDr      PayloadType = 36 // RFC 7296 §3.5
	TypeCert     PayloadType = 37 // RFC 7296 §3.6
	TypeCertReq  PayloadType = 38 // RFC 7296 §3.7
	TypeAuth     PayloadType = 39 // RFC 7296 §3.8
	TypeNonce    PayloadType = 40 // RFC 7296 §3.9
	TypeNotify   PayloadType = 41 // RFC 7296 §3.10
	TypeDelete   PayloadType = 42 // RFC 7296 §3.11
	TypeVendorID PayloadType = 43 // RFC 7296 §3.12
	TypeTSi      PayloadType = 44 // RFC 7296 §3.13
	TypeTSr      PayloadType = 45 // RFC 7296 §3.13
	TypeSK       PayloadType = 46 // RFC 7296 §3.14
	TypeCP       PayloadType = 47 // RFC 7296 §3.15
	TypeEAP      PayloadType = 48 // RFC 7296 §3.16
	TypeSKF      PayloadType = 53 // RFC 7383 §2.5
)

var payloadNames = map[PayloadType]string{
	None: "NONE", TypeSA: "SA", TypeKE: "KE", TypeIDi: "IDi", TypeIDr: "IDr", TypeCert: "CERT", TypeCertReq: "CERTREQ",
	TypeAuth: "AUTH", TypeNonce: "No", TypeNotify: "N", TypeDelete: "D", TypeVendorID: "V", TypeTSi: "TSi", TypeTSr: "TSr",
	TypeSK: "SK", TypeCP: "CP", TypeEAP: "EAP", TypeSKF: "SKF",
}

// String returns the short name of the RFC, "KE", or "PAYLOAD_99". A nonce is "No": whether it is Ni or Nr does not
// show in its bytes.
func (t PayloadType) String() string { return name(payloadNames, t, "PAYLOAD_") }

// standard reports whether t is understood as a type, so that its critical bit is ignored: "this bit MUST NOT be set
// for payload types defined in this document", because everyone knows those (RFC 7296 §3.2).
func (t PayloadType) standard() bool { return TypeSA <= t && t <= TypeEAP || t == TypeSKF }

// A ProtocolID says which protocol a proposal, a notify or a delete is about (RFC 7296 §3.3.1).
type ProtocolID uint8

const (
	ProtoNone ProtocolID = 0
	ProtoIKE  ProtocolID = 1
	ProtoAH   ProtocolID = 2
	ProtoESP  ProtocolID = 3
)

var protocolNames = map[ProtocolID]string{ProtoNone: "NONE", ProtoIKE: "IKE", ProtoAH: "AH", ProtoESP: "ESP"}

// String returns "ESP" or "PROTOCOL_99".
func (p ProtocolID) String() string { return name(protocolNames, p, "PROTOCOL_") }

// A TransformType says what a transform chooses (RFC 7296 §3.3.2).
type TransformType uint8

const (
	TransformENCR   TransformType = 1
	TransformPRF    TransformType = 2
	TransformINTEG  TransformType = 3
	TransformKE     TransformType = 4
	TransformESN    TransformType = 5
	TransformADDKE1 TransformType = 6 // additional key exchanges, RFC 9370
	TransformADDKE2 TransformType = 7
	TransformADDKE3 TransformType = 8
	TransformADDKE4 TransformType = 9
	TransformADDKE5 TransformType = 10
	TransformADDKE6 TransformType = 11
	TransformADDKE7 TransformType = 12
)

var transformNames = map[TransformType]string{
	TransformENCR: "ENCR", TransformPRF: "PRF", TransformINTEG: "INTEG", TransformKE: "KE", TransformESN: "ESN",
	TransformADDKE1: "ADDKE1", TransformADDKE2: "ADDKE2", TransformADDKE3: "ADDKE3", TransformADDKE4: "ADDKE4",
	TransformADDKE5: "ADDKE5", TransformADDKE6: "ADDKE6", TransformADDKE7: "ADDKE7",
}

// String returns "ENCR" or "TRANSFORM_99".
func (t TransformType) String() string { return name(transformNames, t, "TRANSFORM_") }

// An AuthMethod says how the octets of AUTH were made (RFC 7296 §3.8).
type AuthMethod uint8

const (
	AuthRSA              AuthMethod = 1  // RSASSA-PKCS1-v1_5, RFC 7296 §3.8
	AuthSharedKey        AuthMethod = 2  // RFC 7296 §2.15
	AuthDSS              AuthMethod = 3  // RFC 7296 §3.8
	AuthECDSA256         AuthMethod = 9  // RFC 4754
	AuthECDSA384         AuthMethod = 10 // RFC 4754
	AuthECDSA521         AuthMethod = 11 // RFC 4754
	AuthNull             AuthMethod = 13 // RFC 7619
	AuthDigitalSignature AuthMethod = 14 // RFC 7427
)

var authNames = map[AuthMethod]string{
	AuthRSA: "RSA", AuthSharedKey: "SHARED_KEY", AuthDSS: "DSS", AuthECDSA256: "ECDSA_256", AuthECDSA384: "ECDSA_384",
	AuthECDSA521: "ECDSA_521", AuthNull: "NULL", AuthDigitalSignature: "DIGITAL_SIGNATURE",
}

// String returns "SHARED_KEY" or "AUTH_99".
func (m AuthMethod) String() string { return name(authNames, m, "AUTH_") }

// An IDType says what kind of name an ID payload holds (RFC 7296 §3.5).
type IDType uint8

const (
	IDIPv4      IDType = 1  // 4 octets
	IDFQDN      IDType = 2  // ASCII, no terminator
	IDRFC822    IDType = 3  // "user@host", no terminator
	IDIPv6      IDType = 5  // 16 octets
	IDDERASN1DN IDType = 9  // X.500 name
	IDDERASN1GN IDType = 10 // X.509 GeneralName
	IDKeyID     IDType = 11 // any octets
)

var idNames = map[IDType]string{
	IDIPv4: "IPV4_ADDR", IDFQDN: "FQDN", IDRFC822: "RFC822_ADDR", IDIPv6: "IPV6_ADDR", IDDERASN1DN: "DER_ASN1_DN",
	IDDERASN1GN: "DER_ASN1_GN", IDKeyID: "KEY_ID",
}

// String returns "FQDN" or "ID_99".
func (t IDType) String() string { return name(idNames, t, "ID_") }

// A CertEncoding says what a CERT or CERTREQ payload holds (RFC 7296 §3.6).
type CertEncoding uint8

const (
	CertPKCS7         CertEncoding = 1
	CertX509Signature CertEncoding = 4 // one DER X.509 certificate
	CertCRL           CertEncoding = 7
	CertHashURL       CertEncoding = 12 // SHA-1 of a certificate, and where it is
	CertHashURLBundle CertEncoding = 13
	CertOCSP          CertEncoding = 14 // RFC 4806
	CertRawPublicKey  CertEncoding = 15 // RFC 7670
)

// name looks n up, or puts its number after prefix.
func name[T ~uint8 | ~uint16](names map[T]string, n T, prefix string) string {
	if s, ok := names[n]; ok {
		return s
	}
	return prefix + strconv.Itoa(int(n))
}
