package planted_test

// plantedBugs are the mistakes that the harness has to catch. Where the product
// has several protections, the bug is planted where it bites, with the case in
// which no other one helps. Those that leave a run without an end come first: they
// take longest, and cost nothing but time.
func plantedBugs() []planted {
	return append(append(bugsOfTheWorkflow(), bugsOfTheSteps()...), bugsAround()...)
}

// bugsOfTheWorkflow are mistakes in what happens in which order.
func bugsOfTheWorkflow() []planted {
	return []planted{
		{
			name: "undo_on_the_cancelled_context", file: "workflows/compensate.go",
			text:  "ctx, _ = workflow.NewDisconnectedContext(ctx)",
			with:  "",
			cases: []string{"cancel_during_the_recreate"}, check: "as_expected",
		},
		{
			name: "branch_on_the_clock_of_the_worker", file: "workflows/options.go",
			text: "func storeOptions(ctx workflow.Context, budget patch.Duration, summary string) workflow.Context {",
			with: `func storeOptions(ctx workflow.Context, budget patch.Duration, summary string) workflow.Context {
				if time.Since(workflow.GetInfo(ctx).WorkflowStartTime) < 5*time.Second {
					_ = workflow.Sleep(ctx, time.Millisecond) // a fresh run has time
				}`,
			cases: []string{"kill_in_task_updateimage"}, check: "no_nondeterminism",
		},
		{
			name: "success_told_before_the_rotation_took_place", file: "workflows/patchruntime.go",
			text:  "		return false, refusal\n",
			with:  "		return false, nil\n",
			cases: []string{"writer_engine_unreachable", "rotate_down_beyond_the_budget"}, check: "chain_unbroken",
		},
		{
			name: "undo_registered_only_after_success", file: "workflows/patchruntime.go",
			text:  "	r.touched = true\n",
			with:  "	defer func() { r.touched = r.patched.RunID != \"\" }()\n",
			cases: []string{"recreate_applied_then_409"}, check: "record_container_agree",
		},
		{
			name: "rotation_given_up_when_it_is_cancelled", file: "workflows/patchruntime.go",
			text:  "	ctx, _ = workflow.NewDisconnectedContext(ctx)\n",
			with:  "",
			cases: []string{"cancel_during_a_late_rotation"}, check: "as_expected",
		},
		{
			name: "no_second_look_after_a_call_that_may_still_land", file: "workflows/compensate.go",
			text:  "err == nil && r.unsettled && restored.Undo.Fence == 0",
			with:  "err == nil && r.unsettled && restored.Undo.Fence != 0",
			cases: []string{"late_recreate_without_fencing_numbers"}, check: "record_container_agree",
		},
		{
			name: "commit_without_a_reply_taken_for_a_failure", file: "workflows/compensate.go",
			text:  "			if restored.Stands {\n",
			with:  "			if restored.Stands && failure.Code == patch.CodeConflict {\n",
			cases: []string{"rotate_committed_and_store_down_beyond_the_budget"}, check: "chain_unbroken",
		},
		{
			name: "abandoned_told_as_put_back", file: "workflows/compensate.go",
			text:  "Line: patch.LineAbandoned, ",
			with:  "Line: patch.LineRecreated, Row: r.plan.From, ",
			cases: []string{"abandon_in_doubt"}, check: "outcome_told_true",
		},
		{
			name: "abandoned_told_with_the_code_of_a_clean_undo", file: "workflows/compensate.go",
			text:  "return patch.Abandoned(failure)",
			with:  "return failure",
			cases: []string{"abandon_in_doubt"}, check: "as_expected",
		},
		{
			name: "refusal_told_before_it_is_recorded", file: "workflows/patchruntime.go",
			text:  "r.atOnce(ctx, \"LoadRecord\", r.steps.LoadRecord,",
			with:  "local(ctx, taskAttempt, r.steps.LoadRecord,",
			cases: []string{"lost_close_of_a_refusal_then_running"}, check: "outcome_told_true",
		},
		{
			name: "row_of_a_lost_task_overlooked", file: "workflows/finish.go",
			text:  "	if appended.Stands != nil {\n",
			with:  "	if appended.Stands != nil && appended.ID == 0 {\n",
			cases: []string{"lost_close_then_moved_on", "lost_close_then_deleted_and_cancelled"}, check: "outcome_told_true",
		},
	}
}

// bugsOfTheSteps are mistakes in the activities, and in the rules that they ask.
func bugsOfTheSteps() []planted {
	return []planted{
		{
			name: "undo_follows_its_own_memory", file: "activities/restore.go",
			text:  "ImageRef:       seen.Row.ImageRef,",
			with:  "ImageRef:       input.Plan.From.ImageRef,",
			cases: []string{"writer_moved_on", "writer_registered_anew"}, check: "nothing_stuck",
		},
		{
			name: "new_idempotency_key_on_every_attempt", file: "activities/patch.go",
			text:  "IdempotencyKey: input.IdempotencyKey,",
			with:  "IdempotencyKey: fmt.Sprintf(\"%s/%d\", input.IdempotencyKey, attempt(ctx)),",
			cases: []string{"forced_recreate_applied_then_reset", "forced_recreate_told_error"}, check: "direction_once",
		},
		{
			name: "refusal_of_runtime_manager_tried_again", file: "activities/failure.go",
			text:  "case errors.Is(err, ports.ErrRTMRejected), errors.Is(err, errStartedStopped):",
			with:  "case errors.Is(err, errStartedStopped):",
			cases: []string{"recreate_409"}, check: "as_expected",
		},
		{
			name: "no_look_at_the_container_after_the_recreate", file: "activities/patch.go",
			text:  "if err == nil && !container.Runs(target) {",
			with:  "if err != nil && !container.Runs(target) {",
			cases: []string{"recreate_lie"}, check: "record_container_agree",
		},
		{
			name: "no_fence_before_the_undo", file: "activities/restore.go",
			text:  "fence, err := a.fence(ctx, input.GameID, input.Fence)",
			with:  "fence, err := int64(0), error(nil)",
			cases: []string{"late_recreate_of_a_stopped_game"}, check: "record_container_agree",
		},
		{
			name: "undo_does_not_look_again", file: "activities/restore.go",
			text:  "	now, err := a.look(ctx, input.GameID)\n",
			with:  "	now := seen\n	now.Line = patch.LineInLine\n",
			cases: []string{"moved_on_during_the_undo"}, check: "record_container_agree",
		},
		{
			name: "one_key_for_an_undo_to_any_row", file: "internal/domain/patch/identity.go",
			text:  "if row.ImageRef == plan.From.ImageRef {",
			with:  "if row.ImageRef != \"\" || plan.From.ImageRef != \"\" {",
			cases: []string{"moved_on_during_the_undo"}, check: "nothing_stuck",
		},
		{
			name: "fencing_number_of_the_step_and_not_of_the_attempt", file: "internal/domain/patch/fence.go",
			text:  "return base + int64(min(max(attempt, 1), FenceStep)) - 1",
			with:  "return base",
			cases: []string{"late_restore_beside_its_next_attempt"}, check: "record_container_agree",
		},
		{
			name: "record_read_before_the_first_attempt_only", file: "activities/patch.go",
			text:  "if err := a.stillHolds(ctx, input.GameID, input.Plan); err != nil {",
			with:  "if err := a.stillHolds(ctx, input.GameID, input.Plan); err != nil && attempt(ctx) == 1 {",
			cases: []string{"stopped_between_two_attempts"}, check: "as_expected",
		},
		{
			name: "undo_does_not_wait_for_the_turn", file: "internal/domain/patch/undo.go",
			text:  "return LineWaitForTurn",
			with:  "return LineFollowRow",
			cases: []string{"writer_stopped_during_the_turn"}, check: "turn_uninterrupted",
		},
		{
			name: "undo_starts_stopped_games", file: "internal/domain/patch/undo.go",
			text:  "	default:\n		return LineLeftAlone\n",
			with:  "	default:\n		return LineFollowRow\n",
			cases: []string{"writer_stopped", "late_recreate_of_a_stopped_game"}, check: "as_expected",
		},
		{
			name: "no_expected_image_in_the_rotation", file: "activities/patch.go",
			text:  "		ExpectedImageRef:      input.Plan.From.ImageRef,\n		ExpectedEngineVersion: input.Plan.From.Version,\n",
			with:  "",
			cases: []string{"version_moves_between_look_and_rotation"}, check: "as_expected",
		},
		{
			name: "no_fencing_number_in_the_rotation", file: "activities/patch.go",
			text:  "		Fence:                 input.Fence,\n",
			with:  "",
			cases: []string{"rotate_late_after_the_way_back"}, check: "record_container_agree",
		},
		{
			name: "registered_anew_taken_for_the_same_game", file: "internal/domain/patch/plan.go",
			text:  "if now.CreatedAt.Equal(before.CreatedAt) {",
			with:  "if !now.CreatedAt.Before(before.CreatedAt) {",
			cases: []string{"registered_anew_on_the_same_version"}, check: "as_expected",
		},
		{
			name: "recreate_repeated_by_a_run_that_was_reset", file: "activities/patch.go",
			text:  "if attempt(ctx) == 1 && !reset {",
			with:  "if attempt(ctx) == 1 {",
			cases: []string{"reset_of_a_success_to_task_2"}, check: "direction_once",
		},
		{
			name: "move_told_again_by_a_run_that_was_reset", file: "activities/audit.go",
			text:  "if tookOver(ctx, input.FirstRunID) && input.MovedBy != runID(ctx) {",
			with:  "if tookOver(ctx, input.FirstRunID) && input.MovedBy == runID(ctx) {",
			cases: []string{"reset_of_a_success_to_task_2", "reset_with_a_rotation_that_stumbles"}, check: "chain_unbroken",
		},
		{
			name: "move_of_a_run_that_was_reset_not_told", file: "activities/audit.go",
			text:  "if tookOver(ctx, input.FirstRunID) && input.MovedBy != runID(ctx) {",
			with:  "if tookOver(ctx, input.FirstRunID) {",
			cases: []string{"reset_of_an_old_run_after_the_way_back"}, check: "chain_unbroken",
		},
		{
			name: "audit_row_of_another_patch_on_every_attempt", file: "activities/audit.go",
			text:  "	id, err := a.log.Append(ctx, entry)\n",
			with:  "	entry.PatchID = patch.NewID(entry.GameID)\n	id, err := a.log.Append(ctx, entry)\n",
			cases: []string{"audit_cut_after", "audit_written_and_not_told_thrice"}, check: "accepted_has_one_row",
		},
		{
			name: "audit_row_of_a_run_that_is_none", file: "internal/domain/patch/result.go",
			text:  "RunID:        result.RunID,",
			with:  "RunID:        result.WorkflowID,",
			cases: []string{"recreate_500"}, check: "row_has_run",
		},
		{
			name: "audit_failure_logged_and_forgotten", file: "activities/audit.go",
			text: `	id, err := a.log.Append(ctx, entry)
	if err != nil {
		return AppendOperationLogResult{}, failed(ctx, op, err)
	}
`,
			with: `	id, err := a.log.Append(ctx, entry)
	if err != nil {
		activity.GetLogger(ctx).Warn(op, "err", err.Error())
	}
`,
			cases: []string{"audit_error_53100", "audit_full_disk_for_a_while"}, check: "accepted_has_one_row",
		},
	}
}

// bugsAround are mistakes in the stores, the starter and the processes.
func bugsAround() []planted {
	return []planted{
		{
			name: "no_status_guard_in_the_compare_and_swap", file: "internal/adapters/postgres/runtimerecords_update.go",
			text:  "AND judged.status = $2 AND",
			with:  "AND $2 <> '' AND",
			cases: []string{"status_moves_between_look_and_rotation"}, check: "as_expected",
		},
		{
			name: "fencing_number_taken_once_and_used_again", file: "internal/adapters/postgres/fences.go",
			text:  "SET fence = greatest(held.fence + $2::bigint, excluded.fence)",
			with:  "SET fence = least(held.fence, excluded.fence + $2::bigint)",
			cases: []string{"restore_500", "writer_moved_on"}, check: "fence_rises",
		},
		{
			name: "calls_without_a_fencing_number", file: "internal/adapters/rtm/exchange.go",
			text:  "request.Header.Set(\"Fencing-Token\", strconv.FormatInt(call.fence, 10))",
			with:  "_ = strconv.FormatInt(call.fence, 10)",
			cases: []string{"recreate_500"}, check: "fence_rises",
		},
		{
			name: "workflow_id_of_the_patch_and_not_of_the_game", file: "starter/starter.go",
			text:  "options := s.options(request.GameID)",
			with:  "options := s.options(request.PatchID)",
			cases: []string{"other_versions_race"}, check: "accepted_has_one_row",
		},
		{
			name: "open_patch_gives_way_to_the_next_one", file: "starter/starter.go",
			text:  "enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL",
			with:  "enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
			cases: []string{"other_versions_race"}, check: "ends_by_itself",
		},
		{
			name: "ended_runs_left_without_a_row", file: "starter/runs.go",
			text:  "if run.resetRunID != \"\" {",
			with:  "if run.resetRunID == \"\" {",
			cases: []string{"terminated_and_watched"}, check: "accepted_has_one_row",
		},
		{
			name: "findings_of_the_watch_not_kept", file: "activities/watch.go",
			text:  "note.Found = append(note.Found, seen.finding)",
			with:  "_ = append(note.Found, seen.finding)",
			cases: []string{"container_gone_and_watched"}, check: "record_container_agree",
		},
		{
			name: "watch_heals_nothing", file: "activities/sighting.go",
			text:  "heals: kind == drift.ImageDrift &&",
			with:  "heals: kind == drift.Missing &&",
			cases: []string{"container_moved_and_healed"}, check: "as_expected",
		},
		{
			name: "key_that_was_taken_over_started_again", file: "api/begin.go",
			text:  "if held.takenOver {",
			with:  "if held.takenOver && a.request.PatchID == \"\" {",
			cases: []string{"key_again_after_a_lost_note_and_the_next_patch"}, check: "as_expected",
		},
		{
			name: "join_told_before_it_is_noted", file: "api/begin.go",
			text:  "case handle.PatchID != a.request.PatchID:",
			with:  "case handle.PatchID == \"\":",
			cases: []string{"key_that_joined_again_after_a_lost_note"}, check: "as_expected",
		},
		{
			name: "token_in_a_log_line", file: "api/middleware.go",
			text:  "slog.String(\"method\", methodName(c.Request.Method)),",
			with:  "slog.String(\"method\", methodName(c.Request.Method)), slog.Any(\"header\", c.Request.Header),",
			cases: []string{"recreate_500"}, check: "no_secret",
		},
		{
			name: "database_url_in_the_first_log_line", file: "internal/cli/work.go",
			text:  "o.logger.Info(\"worker is starting\", ",
			with:  "o.logger.Info(\"worker is starting\", \"database\", settings.databaseURL, ",
			cases: []string{"recreate_500"}, check: "no_secret",
		},
	}
}
