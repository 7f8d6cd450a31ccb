package engineversion

import (
	"errors"
	"regexp"

	"github.com/distribution/reference"
)

// bareDigest is what a digest looks like that lacks its name: to the grammar it
// is a name with a tag.
var bareDigest = regexp.MustCompile(`^sha(256|384|512):[0-9a-f]{64,128}$`)

// CheckImageRef reports why ref cannot be the image of a version: it has to be a
// container image reference (the grammar of distribution/reference) with a tag
// or a digest, because a bare name means whatever is latest by the time of the
// pull. The error is fit to be shown to the caller.
func CheckImageRef(ref string) error {
	parsed, err := reference.Parse(ref)
	if err != nil {
		return errors.New("is not an image reference (" + err.Error() + "), want one such as registry.example/galaxy/engine:1.4.3")
	}
	named, ok := parsed.(reference.Named)
	if !ok {
		return errors.New("has no name, want one such as registry.example/galaxy/engine:1.4.3")
	}
	if bareDigest.MatchString(ref) {
		return errors.New("is a digest without a name, want one such as registry.example/galaxy/engine:1.4.3")
	}
	if reference.IsNameOnly(named) {
		return errors.New("has neither tag nor digest, want one such as registry.example/galaxy/engine:1.4.3")
	}
	return nil
}
