// Package drill breaks the whole product and proves that nothing is lost,
// doubled or left unexplained.
//
// A [Stack] is the product as real processes: Postgres, Temporal, the Runtime
// Manager simulator, and cells of workers and APIs with proxies between them. A
// [Case] is one thing that goes wrong, in a few lines of verbs on a [Game] and
// its [Cell]. When the dust has settled, [Cell.Collect] gathers [Evidence] from
// three sources that know nothing of each other - the tables, the simulator's
// log and Temporal's histories - and [Check] holds it against the promises.
//
// [Check] is pure: it can be given evidence that no product would ever leave.
package drill
