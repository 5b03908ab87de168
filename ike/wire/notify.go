package wire

import "encoding/binary"

// A Notify tells the peer of an error or of a fact (RFC 7296 §3.10).
//
//	┌─1────────┬─1────────┬─2────┬─ … ──┬─ … ──┐
//	│ protocol │ SPI size │ type │ SPI  │ data │
//	└──────────┴──────────┴──────┴──────┴──────┘
type Notify struct {
	Protocol ProtocolID // of SPI; 0 when there is none. As received: the caller judges
	SPI      []byte     // 0 to 255 octets; only REKEY_SA, CHILD_SA_NOT_FOUND and INVALID_SELECTORS have one
	Kind     NotifyType
	Data     []byte // by Kind; neither length nor content is checked
}

// Type returns TypeNotify.
func (*Notify) Type() PayloadType { return TypeNotify }

func parseNotify(c *cursor) *Notify {
	p := &Notify{Protocol: ProtocolID(c.u8("notify protocol"))}
	spiLen := int(c.u8("notify SPI size"))
	p.Kind = NotifyType(c.u16("notify type"))
	p.SPI = c.clone(spiLen, "notify SPI")
	p.Data = c.rest("notify data")
	return p
}

func (p *Notify) appendBody(b []byte) []byte {
	b = append(b, byte(p.Protocol), count8(len(p.SPI), "octets of SPI"))
	b = binary.BigEndian.AppendUint16(b, uint16(p.Kind))
	return append(append(b, p.SPI...), p.Data...)
}

// A NotifyType says what a Notify is about. Below 16384 are errors, from there on is status (RFC 7296 §3.10.1).
type NotifyType uint16

// IsError reports whether t is in the range of errors, known or not.
func (t NotifyType) IsError() bool { return t < 16384 }

// String returns the name of the RFC, "NO_PROPOSAL_CHOSEN", or "NOTIFY_40000".
func (t NotifyType) String() string { return name(notifyNames, t, "NOTIFY_") }

// The notifies that this project meets: number and RFC here, name below; a test keeps the two lists together.
const (
	// Errors.
	NotifyUnsupportedCriticalPayload NotifyType = 1  // RFC 7296 §3.10.1
	NotifyInvalidIKESPI              NotifyType = 4  // RFC 7296 §3.10.1
	NotifyInvalidMajorVersion        NotifyType = 5  // RFC 7296 §3.10.1
	NotifyInvalidSyntax              NotifyType = 7  // RFC 7296 §3.10.1
	NotifyInvalidMessageID           NotifyType = 9  // RFC 7296 §3.10.1
	NotifyInvalidSPI                 NotifyType = 11 // RFC 7296 §3.10.1
	NotifyNoProposalChosen           NotifyType = 14 // RFC 7296 §3.10.1
	NotifyInvalidKEPayload           NotifyType = 17 // RFC 7296 §3.10.1
	NotifyAuthenticationFailed       NotifyType = 24 // RFC 7296 §3.10.1
	NotifySinglePairRequired         NotifyType = 34 // RFC 7296 §3.10.1
	NotifyNoAdditionalSAs            NotifyType = 35 // RFC 7296 §3.10.1
	NotifyInternalAddressFailure     NotifyType = 36 // RFC 7296 §3.10.1
	NotifyFailedCPRequired           NotifyType = 37 // RFC 7296 §3.10.1
	NotifyTSUnacceptable             NotifyType = 38 // RFC 7296 §3.10.1
	NotifyInvalidSelectors           NotifyType = 39 // RFC 7296 §3.10.1
	NotifyUnacceptableAddresses      NotifyType = 40 // RFC 4555
	NotifyUnexpectedNATDetected      NotifyType = 41 // RFC 4555
	NotifyTemporaryFailure           NotifyType = 43 // RFC 7296 §3.10.1
	NotifyChildSANotFound            NotifyType = 44 // RFC 7296 §3.10.1
	NotifyStateNotFound              NotifyType = 47 // RFC 9370
	NotifyTSMaxQueue                 NotifyType = 48 // RFC 9611

	// Status.
	NotifyInitialContact                  NotifyType = 16384 // RFC 7296 §3.10.1
	NotifySetWindowSize                   NotifyType = 16385 // RFC 7296 §3.10.1
	NotifyAdditionalTSPossible            NotifyType = 16386 // RFC 7296 §3.10.1
	NotifyIPCompSupported                 NotifyType = 16387 // RFC 7296 §3.10.1
	NotifyNATDetectionSourceIP            NotifyType = 16388 // RFC 7296 §3.10.1
	NotifyNATDetectionDestinationIP       NotifyType = 16389 // RFC 7296 §3.10.1
	NotifyCookie                          NotifyType = 16390 // RFC 7296 §3.10.1
	NotifyUseTransportMode                NotifyType = 16391 // RFC 7296 §3.10.1
	NotifyHTTPCertLookupSupported         NotifyType = 16392 // RFC 7296 §3.10.1
	NotifyRekeySA                         NotifyType = 16393 // RFC 7296 §3.10.1
	NotifyESPTFCPaddingNotSupported       NotifyType = 16394 // RFC 7296 §3.10.1
	NotifyNonFirstFragmentsAlso           NotifyType = 16395 // RFC 7296 §3.10.1
	NotifyMOBIKESupported                 NotifyType = 16396 // RFC 4555
	NotifyAdditionalIP4Address            NotifyType = 16397 // RFC 4555
	NotifyAdditionalIP6Address            NotifyType = 16398 // RFC 4555
	NotifyNoAdditionalAddresses           NotifyType = 16399 // RFC 4555
	NotifyUpdateSAAddresses               NotifyType = 16400 // RFC 4555
	NotifyCookie2                         NotifyType = 16401 // RFC 4555
	NotifyNoNATsAllowed                   NotifyType = 16402 // RFC 4555
	NotifyAuthLifetime                    NotifyType = 16403 // RFC 4478
	NotifyMultipleAuthSupported           NotifyType = 16404 // RFC 4739
	NotifyAnotherAuthFollows              NotifyType = 16405 // RFC 4739
	NotifyRedirectSupported               NotifyType = 16406 // RFC 5685
	NotifyRedirect                        NotifyType = 16407 // RFC 5685
	NotifyRedirectedFrom                  NotifyType = 16408 // RFC 5685
	NotifyUseWESPMode                     NotifyType = 16415 // RFC 5840
	NotifyROHCSupported                   NotifyType = 16416 // RFC 5857
	NotifyEAPOnlyAuthentication           NotifyType = 16417 // RFC 5998
	NotifyChildlessIKEv2Supported         NotifyType = 16418 // RFC 6023
	NotifyQuickCrashDetection             NotifyType = 16419 // RFC 6290
	NotifyIKEv2MessageIDSyncSupported     NotifyType = 16420 // RFC 6311
	NotifyIPsecReplayCounterSyncSupported NotifyType = 16421 // RFC 6311
	NotifyIKEv2MessageIDSync              NotifyType = 16422 // RFC 6311
	NotifyIPsecReplayCounterSync          NotifyType = 16423 // RFC 6311
	NotifySecurePasswordMethods           NotifyType = 16424 // RFC 6467
	NotifyIKEv2FragmentationSupported     NotifyType = 16430 // RFC 7383
	NotifySignatureHashAlgorithms         NotifyType = 16431 // RFC 7427
	NotifyCloneIKESASupported             NotifyType = 16432 // RFC 7791
	NotifyCloneIKESA                      NotifyType = 16433 // RFC 7791
	NotifyPuzzle                          NotifyType = 16434 // RFC 8019
	NotifyUsePPK                          NotifyType = 16435 // RFC 8784
	NotifyPPKIdentity                     NotifyType = 16436 // RFC 8784
	NotifyNoPPKAuth                       NotifyType = 16437 // RFC 8784
	NotifyIntermediateExchangeSupported   NotifyType = 16438 // RFC 9242
	NotifyIP4Allowed                      NotifyType = 16439 // RFC 8983
	NotifyIP6Allowed                      NotifyType = 16440 // RFC 8983
	NotifyAdditionalKeyExchange           NotifyType = 16441 // RFC 9370
	NotifyUseAggFrag                      NotifyType = 16442 // RFC 9347
	NotifySupportedAuthMethods            NotifyType = 16443 // RFC 9593
	NotifySAResourceInfo                  NotifyType = 16444 // RFC 9611
)

var notifyNames = map[NotifyType]string{
	NotifyUnsupportedCriticalPayload:      "UNSUPPORTED_CRITICAL_PAYLOAD",
	NotifyInvalidIKESPI:                   "INVALID_IKE_SPI",
	NotifyInvalidMajorVersion:             "INVALID_MAJOR_VERSION",
	NotifyInvalidSyntax:                   "INVALID_SYNTAX",
	NotifyInvalidMessageID:                "INVALID_MESSAGE_ID",
	NotifyInvalidSPI:                      "INVALID_SPI",
	NotifyNoProposalChosen:                "NO_PROPOSAL_CHOSEN",
	NotifyInvalidKEPayload:                "INVALID_KE_PAYLOAD",
	NotifyAuthenticationFailed:            "AUTHENTICATION_FAILED",
	NotifySinglePairRequired:              "SINGLE_PAIR_REQUIRED",
	NotifyNoAdditionalSAs:                 "NO_ADDITIONAL_SAS",
	NotifyInternalAddressFailure:          "INTERNAL_ADDRESS_FAILURE",
	NotifyFailedCPRequired:                "FAILED_CP_REQUIRED",
	NotifyTSUnacceptable:                  "TS_UNACCEPTABLE",
	NotifyInvalidSelectors:                "INVALID_SELECTORS",
	NotifyUnacceptableAddresses:           "UNACCEPTABLE_ADDRESSES",
	NotifyUnexpectedNATDetected:           "UNEXPECTED_NAT_DETECTED",
	NotifyTemporaryFailure:                "TEMPORARY_FAILURE",
	NotifyChildSANotFound:                 "CHILD_SA_NOT_FOUND",
	NotifyStateNotFound:                   "STATE_NOT_FOUND",
	NotifyTSMaxQueue:                      "TS_MAX_QUEUE",
	NotifyInitialContact:                  "INITIAL_CONTACT",
	NotifySetWindowSize:                   "SET_WINDOW_SIZE",
	NotifyAdditionalTSPossible:            "ADDITIONAL_TS_POSSIBLE",
	NotifyIPCompSupported:                 "IPCOMP_SUPPORTED",
	NotifyNATDetectionSourceIP:            "NAT_DETECTION_SOURCE_IP",
	NotifyNATDetectionDestinationIP:       "NAT_DETECTION_DESTINATION_IP",
	NotifyCookie:                          "COOKIE",
	NotifyUseTransportMode:                "USE_TRANSPORT_MODE",
	NotifyHTTPCertLookupSupported:         "HTTP_CERT_LOOKUP_SUPPORTED",
	NotifyRekeySA:                         "REKEY_SA",
	NotifyESPTFCPaddingNotSupported:       "ESP_TFC_PADDING_NOT_SUPPORTED",
	NotifyNonFirstFragmentsAlso:           "NON_FIRST_FRAGMENTS_ALSO",
	NotifyMOBIKESupported:                 "MOBIKE_SUPPORTED",
	NotifyAdditionalIP4Address:            "ADDITIONAL_IP4_ADDRESS",
	NotifyAdditionalIP6Address:            "ADDITIONAL_IP6_ADDRESS",
	NotifyNoAdditionalAddresses:           "NO_ADDITIONAL_ADDRESSES",
	NotifyUpdateSAAddresses:               "UPDATE_SA_ADDRESSES",
	NotifyCookie2:                         "COOKIE2",
	NotifyNoNATsAllowed:                   "NO_NATS_ALLOWED",
	NotifyAuthLifetime:                    "AUTH_LIFETIME",
	NotifyMultipleAuthSupported:           "MULTIPLE_AUTH_SUPPORTED",
	NotifyAnotherAuthFollows:              "ANOTHER_AUTH_FOLLOWS",
	NotifyRedirectSupported:               "REDIRECT_SUPPORTED",
	NotifyRedirect:                        "REDIRECT",
	NotifyRedirectedFrom:                  "REDIRECTED_FROM",
	NotifyUseWESPMode:                     "USE_WESP_MODE",
	NotifyROHCSupported:                   "ROHC_SUPPORTED",
	NotifyEAPOnlyAuthentication:           "EAP_ONLY_AUTHENTICATION",
	NotifyChildlessIKEv2Supported:         "CHILDLESS_IKEV2_SUPPORTED",
	NotifyQuickCrashDetection:             "QUICK_CRASH_DETECTION",
	NotifyIKEv2MessageIDSyncSupported:     "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
	NotifyIPsecReplayCounterSyncSupported: "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
	NotifyIKEv2MessageIDSync:              "IKEV2_MESSAGE_ID_SYNC",
	NotifyIPsecReplayCounterSync:          "IPSEC_REPLAY_COUNTER_SYNC",
	NotifySecurePasswordMethods:           "SECURE_PASSWORD_METHODS",
	NotifyIKEv2FragmentationSupported:     "IKEV2_FRAGMENTATION_SUPPORTED",
	NotifySignatureHashAlgorithms:         "SIGNATURE_HASH_ALGORITHMS",
	NotifyCloneIKESASupported:             "CLONE_IKE_SA_SUPPORTED",
	NotifyCloneIKESA:                      "CLONE_IKE_SA",
	NotifyPuzzle:                          "PUZZLE",
	NotifyUsePPK:                          "USE_PPK",
	NotifyPPKIdentity:                     "PPK_IDENTITY",
	NotifyNoPPKAuth:                       "NO_PPK_AUTH",
	NotifyIntermediateExchangeSupported:   "INTERMEDIATE_EXCHANGE_SUPPORTED",
	NotifyIP4Allowed:                      "IP4_ALLOWED",
	NotifyIP6Allowed:                      "IP6_ALLOWED",
	NotifyAdditionalKeyExchange:           "ADDITIONAL_KEY_EXCHANGE",
	NotifyUseAggFrag:                      "USE_AGGFRAG",
	NotifySupportedAuthMethods:            "SUPPORTED_AUTH_METHODS",
	NotifySAResourceInfo:                  "SA_RESOURCE_INFO",
}
