package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
)

// The sample data of an empty database.
const (
	sampleVersion = "1.4.2"
	sampleGames   = 5
	sampleStopped = "demo-stopped"
)

func sampleImage(version string) string { return "registry.example/galaxy/engine:" + version }

func sampleVersions() []engineversion.EngineVersion {
	versions := []engineversion.EngineVersion{
		{Version: "1.4.1", Status: engineversion.StatusDeprecated},
		{Version: "1.4.2", Status: engineversion.StatusActive},
		{Version: "1.4.3", Status: engineversion.StatusActive},
		{Version: "1.4.4", Status: engineversion.StatusActive},
		{Version: "1.5.0", Status: engineversion.StatusActive},
	}
	for i := range versions {
		versions[i].ImageRef = sampleImage(versions[i].Version)
	}
	return versions
}

func sampleRecords(now time.Time) []runtime.RuntimeRecord {
	record := runtime.RuntimeRecord{
		Status: runtime.StatusRunning, CurrentImageRef: sampleImage(sampleVersion), CurrentEngineVersion: sampleVersion,
		CreatedAt: now, UpdatedAt: now, StartedAt: &now,
	}
	var records []runtime.RuntimeRecord
	for i := range sampleGames {
		record.GameID = fmt.Sprintf("demo-%d", i+1)
		records = append(records, record)
	}
	record.GameID, record.Status, record.StoppedAt = sampleStopped, runtime.StatusStopped, &now
	return append(records, record)
}

// laySample registers the sample versions and games in a database that has
// neither games nor versions of others. A start that was cut short between
// versions and games is brought to its end by the next one.
func laySample(ctx context.Context, s *stack) error {
	versions, records := postgres.NewEngineVersions(s.pool), postgres.NewRuntimeRecords(s.pool)
	known, err := versions.List(ctx)
	if err != nil {
		return err
	}
	games, err := records.List(ctx)
	if err != nil {
		return err
	}
	sample := sampleVersions()
	foreign := slices.ContainsFunc(known, func(version engineversion.EngineVersion) bool {
		return !slices.ContainsFunc(sample, func(s engineversion.EngineVersion) bool {
			return s.Version == version.Version && s.ImageRef == version.ImageRef
		})
	})
	if len(games) > 0 || foreign {
		return nil
	}
	for _, version := range sample {
		if err := versions.Insert(ctx, version); err != nil && !errors.Is(err, engineversion.ErrConflict) {
			return err
		}
	}
	for _, record := range sampleRecords(time.Now().UTC()) {
		if err := records.Insert(ctx, record); err != nil && !errors.Is(err, runtime.ErrConflict) {
			return err
		}
	}
	return nil
}

// layMissingContainers gives each game that the simulator does not know its
// container, as the record has it: the database may have been kept where the
// simulator's file was not. At a Runtime Manager that is somebody else's
// nothing is laid.
func layMissingContainers(ctx context.Context, s *stack) error {
	if s.simulator == nil {
		return nil
	}
	records, err := postgres.NewRuntimeRecords(s.pool).List(ctx)
	if err != nil {
		return err
	}
	for _, record := range records {
		if _, known := s.simulator.Runtime(record.GameID); known {
			continue
		}
		status := rtmsim.StatusRunning
		if record.Status == runtime.StatusStopped || record.Status == runtime.StatusFinished {
			status = string(record.Status)
		}
		if err := s.simulator.PutRuntime(record.GameID, record.CurrentImageRef, status); err != nil {
			return err
		}
	}
	return nil
}
