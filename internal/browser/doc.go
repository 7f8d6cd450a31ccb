// Package browser has the tests of what operators see and press: a headless
// Chromium on the real Temporal UI, and on the API's docs, of a `gamemaster dev`
// that they start. They need Chromium, which no other test does, so that they are
// built with the tag `browser` only, and then never skipped:
//
//	go test -tags browser ./internal/browser
//
// $GAMEMASTER_SCREENSHOTS names the directory that gets the pictures; without it
// they go where the tests' artefacts go.
package browser
