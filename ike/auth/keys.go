package auth

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParsePrivateKey reads the one private key in PEM text: PKCS#8 ("PRIVATE KEY"), SEC1 ("EC PRIVATE KEY") or PKCS#1 ("RSA
// PRIVATE KEY"). Other blocks, such as certificates, are passed over. A key that is locked by a passphrase is refused:
// nobody is there to type it when the gateway starts. Errors hold nothing of the text. data is not kept.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	var key crypto.Signer
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if key != nil {
			return nil, errors.New("private key: there is more than one in the file")
		}
		k, err := parseKeyBlock(block)
		clear(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("private key: %w", err)
		}
		key = k
	}
	if key == nil {
		return nil, errors.New("private key: there is none in PEM form; hint: the file has a line -----BEGIN PRIVATE KEY-----")
	}
	return key, nil
}

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("it is locked by a passphrase; hint: unlock it once (openssl pkey -in gw.key -out gw-open.key) and guard the file by its mode")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it is of the form %q; hint: bring it into PKCS#8 (openssl pkcs8 -topk8 -nocrypt)", cut(escape(block.Type)))
	}
	if err != nil {
		return nil, errors.New("its PEM block holds no key that can be read; hint: openssl pkey -in gw.key -noout -check")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is of a kind that cannot sign, use RSA, ECDSA or Ed25519")
	}
	_, err = checkKey(signer.Public())
	return signer, err
}

// ParseCertificates reads every certificate in data: PEM blocks in their order, or one certificate in DER. None is an
// error. Blocks of other types are passed over.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	return parseAll(data, "certificate", "CERTIFICATE", x509.ParseCertificate)
}

// ParseCRLs reads every certificate revocation list in data in the same way.
func ParseCRLs(data []byte) ([]*x509.RevocationList, error) {
	return parseAll(data, "revocation list", "X509 CRL", x509.ParseRevocationList)
}

func parseAll[T any](data []byte, what, kind string, parse func([]byte) (T, error)) ([]T, error) {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		one, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: the file is neither PEM nor DER of one", what)
		}
		return []T{one}, nil
	}
	var list []T
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != kind {
			continue
		}
		one, err := parse(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s %d of the file: %w", what, len(list)+1, err)
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is none in the file; hint: it has a line -----BEGIN %s-----", what, kind)
	}
	return list, nil
}
