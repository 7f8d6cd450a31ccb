// Package rtmsim is a simulator of the Runtime Manager, for tests and for the
// dev stack. It drives no containers: it remembers which image each game's
// container would run, speaks the Runtime Manager's HTTP contract, and
// misbehaves on request.
//
// # The contract
//
//	POST /api/v1/internal/runtimes/{game_id}/patch   recreate on {"image_ref"}
//	GET  /api/v1/internal/runtimes/{game_id}         what the container runs
//	PUT  /api/v1/internal/runtimes/{game_id}/fence   refuse numbers below {"fence"}
//	GET  /healthz                                    200
//
// A patch needs an Idempotency-Key of 1 to 255 bytes of visible ASCII. A key
// belongs to one game. A key that was carried out is never carried out again:
// repeated with the same image it is answered as the first time, whatever the
// container runs by now; repeated with another image it is refused with 422
// idempotency_key_reused. A call that had no effect leaves its key unused. A
// patch always ends with a running container, also when it was stopped before;
// a game without a container is a 404 runtime_not_found. Recreates of one game
// happen one after another.
//
// # Fencing
//
// A patch carries its fencing number, 1 to 2^53-1, in the header Fencing-Token,
// a fence in its body. The simulator remembers the highest number seen of each
// game, also of one without a container, and beyond [Simulator.DeleteRuntime]. A
// call whose number is lower has no effect and is answered 412 stale_fence; an
// equal one is let in. A patch without the header is let in only while no number
// was seen for its game.
//
// A patch's number is seen when the call arrives, whatever fault it then meets.
// It is looked at then, before any fault, and again in the moment in which the
// recreate lands: a slow recreate that was overtaken meanwhile is refused then. A
// fence's number is seen when the fence takes effect, which a fault can delay or
// prevent, and from its 200 on nothing that is older can land.
//
// [Simulator.SetFencing] plays a Runtime Manager of the time before: it ignores
// the header and answers a fence 404. Numbers that were seen before are
// remembered for when it is switched on again.
//
// # The control API
//
//	GET    /sim/runtimes             {"runtimes":[…]}, by game id
//	PUT    /sim/runtimes/{game_id}   {"image_ref","status"}: puts a container there
//	GET    /sim/runtimes/{game_id}   a [Runtime]
//	DELETE /sim/runtimes/{game_id}   forgets the game, its history and its keys
//	GET    /sim/faults               {"faults":[…]}, a [FaultReport] each
//	PUT    /sim/faults               adds a [Fault]
//	DELETE /sim/faults               clears them all, with ?game_id=… those of one game;
//	                                 with ?name=… lets go of what those of a name hold
//	GET    /sim/fencing              {"enabled"}
//	PUT    /sim/fencing              {"enabled"}: switches fencing on or off
//	GET    /sim/log                  a [LogPage]; see [LogQuery] for after, game_id and limit
//
// It has no authentication: keep it on the loopback interface, see
// [Simulator.Run]. Every error is {"error":{"code","message"}}. [Control] is a
// client of it.
//
// # The log
//
// Every call of the contract leaves a [LogEntry], as a witness that owes nothing
// to the caller's own records. The entry is there from the moment in which the
// call arrives, which is when its request was read; its effect is written
// together with the effect itself, and its status before the first byte of the
// answer goes out. So whoever has an answer finds it in the log, and whoever sees
// a container changed by a patch finds that patch.
//
// Arrivals, landings and ends are numbered by one counter, which needs no clock:
// of two numbers the lower came first. For two patches a and b of one game:
//
//   - they were in flight together if and only if a.ArrivedOrder < b.EndedOrder
//     and b.ArrivedOrder < a.EndedOrder, where an EndedOrder of zero, of a call
//     still under way, counts as infinite;
//   - their recreates overlapped if and only if both have the effect applied,
//     a.ArrivedOrder < b.LandedOrder and b.ArrivedOrder < a.LandedOrder: each was
//     asked for before the other had landed. With fencing on that takes equal
//     numbers, or none: of different ones, the lower is refused.
package rtmsim
