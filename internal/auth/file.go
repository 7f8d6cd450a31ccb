package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	// maxFile holds thousands of entries; more is not a policy.
	maxFile = 1 << 20
	// maxLine and maxNesting keep the YAML parser, which calls itself for each
	// level, from running out of stack. A policy is four levels deep.
	maxLine    = 4096
	maxNesting = 32
)

// readFile returns the content of a regular file of bounded size. The error
// tells the path and nothing of the content.
func readFile(path string) ([]byte, error) {
	// A pipe would keep the caller waiting.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	// Nothing was written that could be lost.
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return content, nil
}

// readRoots fills in what the ca_files hold, unless they were read before. Paths
// that are not absolute are taken from folder.
func (policy *Policy) readRoots(folder string, found *faults) {
	for i := range policy.Issuers {
		entry := &policy.Issuers[i]
		if entry.CAFile == "" || entry.roots != "" {
			continue
		}
		content, err := readFile(beside(folder, entry.CAFile))
		switch {
		case err != nil:
			found.at(fmt.Sprintf("oidc[%d].ca_file", i), "cannot be read as a regular file of at most %d bytes", maxFile)
		case len(content) == 0:
			found.at(fmt.Sprintf("oidc[%d].ca_file", i), "is empty")
		default:
			entry.roots = string(content)
		}
	}
}

func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// Parse reads the text of a policy; folder is where the paths in it start. The
// error lists all faults, a line each, with their places, and quotes nothing
// of the text.
func Parse(text []byte, folder string) (Policy, error) {
	var found faults
	policy := decode(text, &found)
	policy.readRoots(folder, &found)
	policy = policy.completed()
	// A text that is no mapping has nothing in it to be examined.
	if !found.seen[wholeFile] {
		policy.examine(&found)
	}
	if err := found.err(); err != nil {
		return Policy{}, err
	}
	return policy, nil
}

// wholeFile is the place of faults that leave nothing else to be told.
const wholeFile = "policy"

// parseYAML returns the root of the only document. The parser's own messages
// quote the text, so they are replaced by the line they are about.
func parseYAML(text []byte) (ast.Node, error) {
	if err := bounded(text); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var fault yaml.Error
		if errors.As(err, &fault) && fault.GetToken() != nil && fault.GetToken().Position != nil {
			return nil, fmt.Errorf("not YAML in line %d", fault.GetToken().Position.Line)
		}
		return nil, errors.New("not YAML")
	}
	bodies := slices.DeleteFunc(file.Docs, func(document *ast.DocumentNode) bool { return document.Body == nil })
	switch {
	case len(bodies) == 0:
		return nil, errors.New("empty; want tokens, oidc or certificates")
	case len(bodies) > 1:
		return nil, errors.New("want one document")
	}
	return bodies[0].Body, nil
}

// bounded refuses what is too much for the parser.
func bounded(text []byte) error {
	if len(text) > maxFile {
		return fmt.Errorf("larger than %d bytes", maxFile)
	}
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	number, open := 0, 0
	for line := range bytes.Lines(text) {
		number++
		if len(line) > maxLine {
			return fmt.Errorf("line %d is longer than %d bytes", number, maxLine)
		}
		for _, char := range line {
			switch char {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
		}
		if open > maxNesting {
			return fmt.Errorf("more than %d brackets are open in line %d", maxNesting, number)
		}
	}
	return nil
}
