package keyvault

import (
	"bytes"
	"testing"
)

func TestSecretsAreWipedFromBuffers(t *testing.T) {
	for _, secret := range []bool{true, false} {
		a, err := encode(reply{status: 200, body: secretBundle{Value: new("hunter2")}, secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		written := a.body.Bytes()
		a.release()
		if bytes.Contains(written, []byte("hunter2")) == secret {
			t.Errorf("secret %v: %q", secret, written)
		}
	}
}
