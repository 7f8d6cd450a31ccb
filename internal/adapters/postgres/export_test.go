package postgres

// The statements whose plans the tests look at.
var (
	ListDueRunningSQL = listDueRunning.sql
	ListByStatusSQL   = listByStatus.sql
	ListRecordsSQL    = listRecords.sql
	GetRecordSQL      = getRecord.sql
	UpdateImageSQL    = updateImage.sql
	ListByGameSQL     = listByGame.sql
	ListByPatchSQL    = listByPatch.sql
	FindEntrySQL      = findEntry.sql
)
