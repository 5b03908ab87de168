package config

import (
	"fmt"

	"twinbore/config/secret"
)

// ppk checks what can be known of a post-quantum pre-shared key without looking it up.
func (k *checker) ppk(path string, c *Connection) {
	named, secretGiven := c.PPK.ID != "", !c.PPK.Secret.IsZero()
	switch {
	case !named && !secretGiven && !c.PPK.Required:
		return
	case !named:
		k.refuse(path+".id", fmt.Sprintf("the ppk of connection %s has no id", c.called()), "both ends know the key by one name")
	case !secretGiven:
		k.refuse(path+".secret", fmt.Sprintf("the ppk of connection %s has no secret", c.called()), "secret: {file: "+c.Name+".ppk}")
	}
	if c.PPK.Secret.Kind == secret.Generate {
		k.refuse(path+".secret", "a ppk cannot be generated here", "both ends must have it: make one with `openssl rand -hex 32` and give it to the peer")
	}
	if c.IKEVersion == 1 {
		k.refuse(path, "IKEv1 has no ppk", "use ike: 2")
	}
	k.inline(path+".secret", c.PPK.Secret, secret.WantPPKBits)
}
