package workflows_test

import "galaxy/gamemaster/internal/domain/patch"

// least is how many histories there are at least: it is raised with each new
// path and never lowered, so that the corpus cannot shrink along with its
// manifest.
const least = 41

// manifest lists the corpus. A history that is here stays here: runs like it
// may be open somewhere when a new version is rolled out. The numbers at the end
// of the names are the workflow tasks that a run was reset to.
func manifest() map[string]recorded {
	return map[string]recorded{
		"by_hand":                     {events: 17, closes: completed},
		"cancelled":                   {code: patch.CodeCancelled, events: 29, closes: canceled},
		"cancelled_fenced":            {code: patch.CodeCancelled, events: 29, closes: canceled},
		"cancelled_late":              {code: patch.CodeCancelled, events: 41, closes: canceled},
		"conflict":                    {code: patch.CodeConflict, events: 31, closes: completed},
		"conflict_after_turn":         {code: patch.CodeConflict, events: 31, closes: completed},
		"engine_version_deprecated":   {code: patch.CodeEngineVersionNotFound, events: 15, closes: completed},
		"engine_version_not_found":    {code: patch.CodeEngineVersionNotFound, events: 15, closes: completed},
		"found_done_by_undo":          {events: 31, closes: completed},
		"internal_error":              {code: patch.CodeInternalError, events: 31, closes: failed},
		"invalid_request":             {code: patch.CodeInvalidRequest, events: 14, closes: completed},
		"invalid_request_stored":      {code: patch.CodeInvalidRequest, events: 15, closes: completed},
		"missing_container":           {code: patch.CodeServiceUnavailable, events: 24, closes: failed},
		"needs_operator_retry":        {code: patch.CodeServiceUnavailable, events: 38, closes: failed},
		"noop":                        {events: 15, closes: completed},
		"precondition_failed":         {code: patch.CodePreconditionFailed, events: 14, closes: completed},
		"reconcile_adopt":             {events: 20, closes: completed},
		"reconcile_enforce":           {events: 20, closes: completed},
		"reconcile_refused":           {code: patch.CodeRuntimeNotRunning, events: 13, closes: completed},
		"reset_put_back_1":            {events: 20, closes: completed},
		"reset_put_back_2":            {code: patch.CodeServiceUnavailable, events: 27, closes: failed},
		"reset_put_back_3":            {code: patch.CodeServiceUnavailable, events: 27, closes: failed},
		"reset_success_1":             {events: 18, closes: completed},
		"reset_success_2":             {events: 28, closes: completed},
		"runtime_not_found":           {code: patch.CodeRuntimeNotFound, events: 14, closes: completed},
		"runtime_not_running":         {code: patch.CodeRuntimeNotRunning, events: 14, closes: completed},
		"semver_patch_only":           {code: patch.CodeSemverPatchOnly, events: 15, closes: completed},
		"service_unavailable":         {code: patch.CodeServiceUnavailable, events: 24, closes: failed},
		"service_unavailable_applied": {code: patch.CodeServiceUnavailable, events: 24, closes: failed},
		"success":                     {events: 17, closes: completed},
		"waited_for_a_slot":           {events: 23, closes: completed},
		"needs_operator_abandon":      {code: patch.CodeServiceUnavailable, events: 30, closes: failed},
		"needs_operator_twice":        {code: patch.CodeServiceUnavailable, events: 52, closes: failed},
		"waited_for_operation_log":    {events: 25, closes: completed},
		"waited_for_runtime_fences":   {events: 24, closes: completed},
		"waited_for_runtime_records":  {events: 23, closes: completed},
		"waited_for_engine_versions":  {events: 23, closes: completed},
		"export":                      {events: 23, closes: completed},
		"watch":                       {events: 23, closes: completed},
		"watch_heals":                 {events: 28, closes: completed},
		"reconcile_failed":            {code: patch.CodeServiceUnavailable, events: 27, closes: failed},
	}
}
