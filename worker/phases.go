package worker

import (
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/patch"
)

// phaseMetric is measured for each phase that a run leaves, with the label
// "phase"; as with all of the SDK's timers the unit follows in the name that
// Prometheus sees.
const phaseMetric = "gamemaster_phase_duration"

// phaseOf says which phase a step begins. A step that is not here goes on with
// the phase before: to take a fencing number is a matter of milliseconds, and
// belongs to two phases.
var phaseOf = map[string]patch.Phase{
	"LoadRecord": patch.PhaseValidating, "ValidateVersion": patch.PhaseValidating, "LoadRuntime": patch.PhaseValidating,
	"PatchContainer":   patch.PhasePatching,
	"UpdateImage":      patch.PhaseRecording,
	"RestoreContainer": patch.PhaseCompensating, "AdoptImage": patch.PhaseCompensating,
	"AppendOperationLog": patch.PhaseAuditing,
}

// phases measures how long runs are in their phases, from outside: it sees which
// steps a run asks for, adds no command to it, and a replay, which measures
// nothing, goes the same way with it and without.
type phases struct {
	interceptor.WorkerInterceptorBase
}

// InterceptWorkflow follows one run.
func (*phases) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	run := &phasesOfRun{}
	run.Next = next
	return run
}

// phasesOfRun is the phase that a run is in; empty before its first step.
type phasesOfRun struct {
	interceptor.WorkflowInboundInterceptorBase
	phase patch.Phase
	since time.Time
}

// Init puts itself between the run and its steps.
func (r *phasesOfRun) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	steps := &stepsOfRun{run: r}
	steps.Next = outbound
	return r.Next.Init(steps)
}

// ExecuteWorkflow ends the last phase with the run.
func (r *phasesOfRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	r.enter(ctx, patch.PhaseDone)
	return result, err
}

// enter measures the phase that ends, by the run's own clock.
func (r *phasesOfRun) enter(ctx workflow.Context, phase patch.Phase) {
	if phase == "" || phase == r.phase {
		return
	}
	now := workflow.Now(ctx)
	if r.phase != "" {
		// The handler of a run says nothing while it replays.
		workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"phase": string(r.phase)}).Timer(phaseMetric).Record(now.Sub(r.since))
	}
	r.phase, r.since = phase, now
}

// stepsOfRun sees the steps that a run asks for.
type stepsOfRun struct {
	interceptor.WorkflowOutboundInterceptorBase
	run *phasesOfRun
}

// ExecuteActivity enters the phase of the step.
func (s *stepsOfRun) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	s.run.enter(ctx, phaseOf[activityType])
	return s.Next.ExecuteActivity(ctx, activityType, args...)
}

// ExecuteLocalActivity enters the phase of a step within the workflow task.
func (s *stepsOfRun) ExecuteLocalActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	s.run.enter(ctx, phaseOf[activityType])
	return s.Next.ExecuteLocalActivity(ctx, activityType, args...)
}
