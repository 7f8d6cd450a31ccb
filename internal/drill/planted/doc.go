// Package planted has the tests that plant bugs in the product and have the drill
// find them; see docs/reliability.md. There is nothing else in it.
package planted
