// Package client talks to the REST API of Game Master.
//
// # Asking
//
// [New] makes a [Client] for the URL of an API and a token. Each operation of
// the API is one method, which takes and returns plain values: what is zero in a
// request is left out of it. A Client may be used by many goroutines at once.
//
//	games, err := client.New("https://gamemaster.example", client.WithToken(token))
//	patch, err := games.Patch(ctx, "demo-1", client.PatchRequest{Version: "1.4.3"}, client.PatchOptions{})
//
// Methods whose name begins with List return one page; their counterparts that
// begin with All walk through all pages, one at a time.
//
// # Errors
//
// What the API answers from 400 up is an [*Error], which carries the problem:
// branch on its Code, by [IsCode], and show its Error to people. An answer that
// the API cannot have given, such as the page of a proxy, is an [*AnswerError].
// Without any answer the error wraps [ErrNoAnswer], and context.Canceled or
// context.DeadlineExceeded if that is why. [IsTemporary] tells whether the same
// request may be answered differently later. No error contains the token.
//
// # Repeating
//
// A request that got no answer, or one that says "later" (429, 502, 503, 504),
// is sent again up to three times, with growing pauses and no sooner than the
// answer's Retry-After. That is done only where sending twice does no more than
// sending once: for reads, PUT and DELETE, for [Client.Patch] and
// [Client.Rollback], which carry an Idempotency-Key that stays the same, for
// [Client.Reconcile], which finds nothing left to do then, and for the few other
// POST requests of that kind. What is not of that kind is sent
// again only when the API has certainly not acted on it: after 429, or when no
// connection came about. The context bounds it all.
package client

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config generate.yaml ../api/openapi.yaml
