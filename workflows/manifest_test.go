package workflows_test

import "galaxy/gamemaster/internal/domain/patch"

// least is how many histories there are at least: it is raised with each new
// path and never lowered, so that the corpus cannot shrink along with its
// manifest.
const least = 43

// manifest lists the corpus. A history that is here stays here: runs like it
// may be open somewhere when a new version is rolled out. The numbers at the end
// of the names are the workflow tasks that a run was reset to.
func manifest() map[string]recorded {
	return map[string]recorded{
		"by_hand":                     {events: 32, closes: completed},
		"cancelled":                   {code: patch.CodeCancelled, events: 39, closes: canceled},
		"cancelled_fenced":            {code: patch.CodeCancelled, events: 39, closes: canceled},
		"cancelled_late":              {code: patch.CodeCancelled, events: 51, closes: canceled},
		"conflict":                    {code: patch.CodeConflict, events: 40, closes: completed},
		"conflict_after_turn":         {code: patch.CodeConflict, events: 40, closes: completed},
		"engine_version_deprecated":   {code: patch.CodeEngineVersionNotFound, events: 19, closes: completed},
		"engine_version_not_found":    {code: patch.CodeEngineVersionNotFound, events: 19, closes: completed},
		"found_done_by_undo":          {events: 40, closes: completed},
		"internal_error":              {code: patch.CodeInternalError, events: 40, closes: failed},
		"invalid_request":             {code: patch.CodeInvalidRequest, events: 13, closes: completed},
		"invalid_request_stored":      {code: patch.CodeInvalidRequest, events: 19, closes: completed},
		"missing_container":           {code: patch.CodeServiceUnavailable, events: 34, closes: failed},
		"needs_operator_retry":        {code: patch.CodeServiceUnavailable, events: 48, closes: failed},
		"noop":                        {events: 19, closes: completed},
		"precondition_failed":         {code: patch.CodePreconditionFailed, events: 13, closes: completed},
		"reconcile_adopt":             {events: 20, closes: completed},
		"reconcile_enforce":           {events: 20, closes: completed},
		"reconcile_refused":           {code: patch.CodeRuntimeNotRunning, events: 13, closes: completed},
		"reset_put_back_1":            {events: 35, closes: completed},
		"reset_put_back_2":            {events: 35, closes: completed},
		"reset_put_back_3":            {events: 35, closes: completed},
		"reset_put_back_4":            {code: patch.CodeServiceUnavailable, events: 37, closes: failed},
		"reset_put_back_5":            {code: patch.CodeServiceUnavailable, events: 37, closes: failed},
		"reset_success_1":             {events: 22, closes: completed},
		"reset_success_2":             {events: 35, closes: completed},
		"reset_success_3":             {events: 35, closes: completed},
		"reset_success_4":             {events: 48, closes: completed},
		"reset_success_5":             {events: 35, closes: completed},
		"runtime_not_found":           {code: patch.CodeRuntimeNotFound, events: 13, closes: completed},
		"runtime_not_running":         {code: patch.CodeRuntimeNotRunning, events: 13, closes: completed},
		"semver_patch_only":           {code: patch.CodeSemverPatchOnly, events: 19, closes: completed},
		"service_unavailable":         {code: patch.CodeServiceUnavailable, events: 34, closes: failed},
		"service_unavailable_applied": {code: patch.CodeServiceUnavailable, events: 34, closes: failed},
		"success":                     {events: 32, closes: completed},
		"needs_operator_abandon":      {code: patch.CodeServiceUnavailable, events: 40, closes: failed},
		"needs_operator_twice":        {code: patch.CodeServiceUnavailable, events: 62, closes: failed},
		"waited_for_operation_log":    {events: 40, closes: completed},
		"waited_for_runtime_fences":   {events: 39, closes: completed},
		"export":                      {events: 23, closes: completed},
		"watch":                       {events: 23, closes: completed},
		"watch_heals":                 {events: 28, closes: completed},
		"reconcile_failed":            {code: patch.CodeServiceUnavailable, events: 27, closes: failed},
	}
}
