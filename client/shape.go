package client

// shape is what an operation answers. Any JSON object can be read into any
// struct, so each says by a key that is always there whether it was one of its
// own: the answer to another path or of another program must not pass as an
// empty record.
type shape interface{ isWhole() bool }

func (r Runtime) isWhole() bool             { return r.GameID != "" }
func (p RuntimePage) isWhole() bool         { return p.Runtimes != nil }
func (p OperationPage) isWhole() bool       { return p.Operations != nil }
func (p Patch) isWhole() bool               { return p.PatchID != "" }
func (p PatchPage) isWhole() bool           { return p.Patches != nil }
func (h PatchHistory) isWhole() bool        { return h.PatchID != "" && h.History != nil }
func (p PatchPlan) isWhole() bool           { return p.DryRun && p.Checks != nil }
func (p DriftPage) isWhole() bool           { return p.Findings != nil }
func (l EngineVersionList) isWhole() bool   { return l.EngineVersions != nil }
func (v EngineVersionDetail) isWhole() bool { return v.Version != "" }
func (h Health) isWhole() bool              { return h.Status != "" }
func (r Readiness) isWhole() bool           { return r.Status != "" }
