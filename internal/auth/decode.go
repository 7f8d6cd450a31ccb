package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decode reads the shapes: mappings, lists and texts, and no key that is not
// ours. What the values mean is examined later. Should the parser panic over a
// text, or leave holes in what it makes of it, then it is not YAML to us.
func decode(text []byte, found *faults) (policy Policy) {
	defer func() {
		if recover() != nil {
			policy = Policy{}
			found.at(wholeFile, "not YAML")
		}
	}()
	root, err := parseYAML(text)
	if err != nil {
		found.at(wholeFile, "%s", err)
		return Policy{}
	}
	d := decoder{found}
	d.mapping(root, wholeFile, keys{
		"tokens": func(node ast.Node, place string) {
			policy.Tokens = list(d, node, place, d.token)
		},
		"oidc": func(node ast.Node, place string) {
			policy.Issuers = list(d, node, place, d.issuer)
		},
		"certificates": func(node ast.Node, place string) {
			policy.Certificates = list(d, node, place, d.certificate)
		},
	})
	return policy
}

// decoder turns YAML nodes into values and notes what has another shape.
type decoder struct{ found *faults }

// keys says what to do with the value of each key of a mapping.
type keys map[string]func(node ast.Node, place string)

// mapping visits the values of a mapping.
func (d decoder) mapping(node ast.Node, place string, known keys) {
	values, ok := node.(*ast.MappingNode)
	if !ok {
		d.found.at(place, "want keys with values: %s", known)
		return
	}
	seen := map[string]bool{}
	for _, value := range values.Values {
		key, isText := value.Key.(*ast.StringNode)
		line := value.Key.GetToken().Position.Line
		switch {
		case !isText || known[key.Value] == nil:
			d.found.add(fmt.Sprintf("%s: unknown key in line %d, want %s", place, line, known))
		case seen[key.Value]:
			d.found.add(fmt.Sprintf("%s: %s is there again in line %d", place, key.Value, line))
		default:
			seen[key.Value] = true
			known[key.Value](value.Value, strings.TrimPrefix(place+"."+key.Value, wholeFile+"."))
		}
	}
}

// String lists the keys.
func (k keys) String() string {
	var names []string
	for name := range k {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// list decodes the elements of a list. It is never nil, so that an empty list
// is not taken for one that was left out.
func list[T any](d decoder, node ast.Node, place string, element func(ast.Node, string) T) []T {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.found.at(place, "want a list")
		return nil
	}
	values := make([]T, len(sequence.Values))
	for i, value := range sequence.Values {
		values[i] = element(value, fmt.Sprintf("%s[%d]", place, i))
	}
	return values
}

// text decodes a text. Numbers are taken as they are written: a name may
// consist of digits. Within braces the parser takes a colon for the end of a key
// even if no space follows it, hence the advice.
func (d decoder) text(node ast.Node, place string) string {
	value := ""
	switch node := node.(type) {
	case *ast.StringNode:
		value = node.Value
	case *ast.IntegerNode:
		value = node.Token.Value
	case *ast.FloatNode:
		value = node.Token.Value
	}
	if value == "" {
		d.found.at(place, "want a text that is not empty, in one line, without anchor, alias and tag; put quotes around one with a colon")
	}
	return value
}

func (d decoder) into(target *string) func(ast.Node, string) {
	return func(node ast.Node, place string) { *target = d.text(node, place) }
}

func (d decoder) texts(target *[]string) func(ast.Node, string) {
	return func(node ast.Node, place string) { *target = list(d, node, place, d.text) }
}

func (d decoder) scopes(target *[]Scope) func(ast.Node, string) {
	return func(node ast.Node, place string) {
		*target = list(d, node, place, func(node ast.Node, place string) Scope { return Scope(d.text(node, place)) })
	}
}

func (d decoder) token(node ast.Node, place string) Token {
	var entry Token
	d.mapping(node, place, keys{
		"name": d.into(&entry.Name),
		"sha256": func(node ast.Node, place string) {
			// What is no digest stays zero, which is noted when it is examined.
			if sum, err := hex.DecodeString(d.text(node, place)); err == nil && len(sum) == sha256.Size {
				entry.SHA256 = [sha256.Size]byte(sum)
			}
		},
		"scopes": d.scopes(&entry.Scopes),
		"games":  d.texts(&entry.Games),
	})
	return entry
}

func (d decoder) issuer(node ast.Node, place string) Issuer {
	var entry Issuer
	d.mapping(node, place, keys{
		"issuer":       d.into(&entry.URL),
		"audience":     d.into(&entry.Audience),
		"algorithms":   d.texts(&entry.Algorithms),
		"name_claim":   d.into(&entry.NameClaim),
		"name_prefix":  d.into(&entry.NamePrefix),
		"scopes_claim": d.into(&entry.ScopesClaim),
		"games":        d.texts(&entry.Games),
		"jwks_url":     d.into(&entry.JWKSURL),
		"ca_file":      d.into(&entry.CAFile),
	})
	return entry
}

func (d decoder) certificate(node ast.Node, place string) Certificate {
	var entry Certificate
	d.mapping(node, place, keys{
		"name":        d.into(&entry.Name),
		"dns_name":    d.into(&entry.DNSName),
		"uri":         d.into(&entry.URI),
		"common_name": d.into(&entry.CommonName),
		"scopes":      d.scopes(&entry.Scopes),
		"games":       d.texts(&entry.Games),
	})
	return entry
}
