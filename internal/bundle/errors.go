package bundle

import (
	"errors"
	"fmt"
	"strings"

	"coffer/internal/pkcs12"
)

// Error is a refusal of what a caller handed in.
type Error struct {
	Msg    string // for the caller: the exact text of the contract (certificates.md, 15.3; errors.md, 4.2)
	Detail string // for the caller, after Msg: sentences with the cause and the way out; "" when Msg says it all
	Err    error  // the cause, for the log. May be nil
}

// Nothing of an Error holds any of the content or the password.

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// Text is what the caller is told.
func (e *Error) Text() string { return strings.TrimSuffix(e.Msg+" "+e.Detail, " ") }

// cause is an error that knows what to tell the caller.
type cause struct{ what, detail string }

func (c *cause) Error() string { return c.what }

// refusal is an Error with the cause, and the sentences that it has for the caller.
func refusal(msg string, err error) *Error {
	if errors.Is(err, pkcs12.ErrTooCostly) {
		return &Error{Msg: msgCostly, Detail: "Write the file anew with fewer.", Err: err}
	}
	return &Error{Msg: msg, Detail: detail(err), Err: err}
}

func detail(err error) string {
	if c, ok := errors.AsType[*cause](err); ok {
		return c.detail
	}
	format, _ := errors.AsType[*pkcs12.FormatError](err)
	switch {
	case errors.Is(err, pkcs12.ErrTwoKeys):
		return "It holds more than one private key: export only one certificate with a private key."
	case errors.Is(err, pkcs12.ErrPassword):
		return "The password does not open it, or it is damaged."
	case format == nil:
		return ""
	case format.Unsupported:
		return sentence(format.What) + " Export it again with AES."
	}
	return "It is not PKCS#12: " + strings.TrimPrefix(format.What, "ber: ") + "."
}

// sentence makes one of a phrase.
func sentence(phrase string) string { return strings.ToUpper(phrase[:1]) + phrase[1:] + "." }

const (
	msgPKCS12Unreadable = "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format."
	msgPEMUnreadable    = "The specified PEM X.509 certificate content can not be read. Please check if certificate is in valid PEM format. Accepted formats: PEM content or Base64 encoded PEM content."
	msgPEMUnexpected    = "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format."
	msgPEMNoKey         = "Private key is not specified in the specified X.509 PEM certificate content. Please specify private key in the X.509 PEM certificate content."
	msgNoKey            = "No certificate with private key found in the specified X.509 certificate content. Please specify X.509 certificate content with only one certificate containing private key."
	msgInvalid          = "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid."
	msgTooLong          = "The size of the X.509 certificate is too long"
	msgNoElements       = "Property x5c has invalid value\r\n"
)

var msgCostly = fmt.Sprintf("The key derivation of the specified content is too costly. At most %d iterations a derivation and %d in all are accepted.",
	pkcs12.MaxIterations, pkcs12.MaxCost)

const supportedKeys = "keys are RSA, or EC on P-256, P-384, P-521 or P-256K."

// What is wrong, and how to mend it.
var (
	errFormat        = errors.New("not of the content type that was asked for")
	errNoCertificate = &cause{"no certificate", "It holds no certificate."}
	errCertificate   = &cause{"a certificate that is not DER", "A CERTIFICATE block holds no certificate in DER."}
	errKey           = &cause{"a private key that is not PKCS#8", "A PRIVATE KEY block holds no key in PKCS#8."}
	errTwoKeys       = &cause{"more than one private key", "It holds more than one private key: send only one certificate with a private key."}

	errBase64     = &cause{"no base64", "It is neither PEM nor base64."}
	errTwice      = &cause{"base64 of base64", "It is base64 twice: encode the file once."}
	errUTF16      = &cause{"UTF-16", "It is text in UTF-16: save it as UTF-8."}
	errJKS        = &cause{"a Java key store", "It is a Java key store: convert it with keytool -importkeystore -deststoretype PKCS12."}
	errLeafAlone  = &cause{"a certificate alone", "It is a certificate without a private key."}
	errKeyAlone   = &cause{"a private key alone", "It is a private key without a certificate."}
	errPKCS7Alone = &cause{"a PKCS#7 bundle", "It is PKCS#7, which holds no private key."}
	errPFXArmour  = &cause{"a PFX in PEM armour", "It is a PFX in PEM armour: leave the BEGIN and END lines out."}

	errNoLineBreaks = &cause{"a PEM block without line breaks", "A PEM block stands on one line: keep its line breaks."}
	errBlock        = &cause{"a PEM block that cannot be decoded", "A PEM block has no END line, or is not base64."}
	errBlockType    = &cause{"PEM blocks of unexpected types only", "None of its PEM blocks is a certificate or a private key."}
	errKeyBlock     = &cause{"a private key among the certificates", "It holds a private key: send certificates only."}
	errHeaders      = &cause{"a PEM block with headers", "A PEM block has headers: it is another kind of message."}
	errTraditional  = &cause{"the traditional encryption of OpenSSL",
		"The private key is in the traditional encryption of OpenSSL: convert it with openssl pkcs8 -topk8 -in KEY -out NEW."}
	errOpenSSHKey = &cause{"an OPENSSH PRIVATE KEY", "The private key is in the format of OpenSSH: convert it with ssh-keygen -p -m PKCS8 -f KEY."}

	errDSAKey   = &cause{"a DSA PRIVATE KEY", "DSA keys are not supported: " + supportedKeys}
	errOtherKey = &cause{"a private key block of an unknown type", "The type of its private key block is not supported: " + supportedKeys}

	errElement = &cause{"neither a certificate nor a bundle of them", "It is neither a certificate nor a bundle of them."}
	errPKCS7   = &cause{"not a PKCS#7 bundle of certificates", "It is not a PKCS#7 bundle of certificates."}
	errBER     = &cause{"a certificate in BER", "It is a certificate in BER, where its signature would not hold."}

	errPKCS1         = &cause{"an RSA PRIVATE KEY that is not DER", "The RSA PRIVATE KEY block holds no key."}
	errSEC1          = &cause{"an EC PRIVATE KEY that is not DER", "The EC PRIVATE KEY block holds no key."}
	errCurve         = &cause{"an EC PRIVATE KEY without a curve", "The EC PRIVATE KEY names no curve: convert it with openssl pkcs8 -topk8 -nocrypt."}
	errExplicitCurve = &cause{"an EC PRIVATE KEY whose curve is not named",
		"The EC PRIVATE KEY spells its curve out: name it with openssl ec -param_enc named_curve."}
	errTwoCurves = &cause{"an EC PRIVATE KEY with a curve other than that of EC PARAMETERS", "The EC PARAMETERS are of another curve than the EC PRIVATE KEY."}
)
