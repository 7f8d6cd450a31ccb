package auth

import (
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// keySet is the keys that an issuer had published when it was asked. It does
// not change.
type keySet struct{ keys []jose.JSONWebKey }

// match returns the payload of a token if one of the keys has signed it. There
// is no match without keys.
func (set *keySet) match(token *jose.JSONWebSignature) ([]byte, bool) {
	if set == nil {
		return nil, false
	}
	header := token.Signatures[0].Header
	for i := range set.keys {
		key := &set.keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// names tells whether the key that the token names is in the set.
func (set *keySet) names(token *jose.JSONWebSignature) bool {
	if set == nil {
		return false
	}
	for i := range set.keys {
		if kid := token.Signatures[0].Header.KeyID; kid != "" && set.keys[i].KeyID == kid {
			return true
		}
	}
	return false
}

// parseKeys reads what an issuer publishes. Keys of kinds that we do not know,
// or that are for something else, are passed over; if no other is left,
// something is wrong. The error quotes nothing.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &document) != nil || document.Keys == nil {
		return nil, errors.New("the keys cannot be read")
	}
	var keys []jose.JSONWebKey
	for _, raw := range document.Keys {
		var key jose.JSONWebKey
		// Symmetric and private keys are not public, and nobody's business.
		if json.Unmarshal(raw, &key) == nil && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 && len(document.Keys) > 0 {
		return nil, errors.New("none of the keys can be used")
	}
	return keys, nil
}
