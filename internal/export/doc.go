// Package export reads what DynamoDB exports and turns it into training data.
// It also writes the same layout, so that customers who live in another store
// go through the same converter.
//
//	r, err := export.Open(ctx, os.DirFS("backup"), ".")
//	if err != nil { … }
//	defer r.Close()
//	report, err := export.Convert(ctx, schema.Bank(), r,
//		export.Outputs{Train: train, Holdout: holdout}, export.Options{TempDir: dir})
//
// # What is read
//
// Two layouts, told apart by what lies in the folder:
//
//   - DynamoDB's export to S3 (ExportTableToPointInTime, output DYNAMODB_JSON).
//     Only files that manifest-files.json names are read, and each is held
//     against its MD5 and its number of items.
//   - The backup that AWS Data Pipeline and the EMR connector write: a file
//     called manifest beside part files. Without the manifest, every data file
//     of the folder is read, unless a mark or a file's name shows that a
//     backup was to lie there; a single file is an export too.
//
// Three spellings of an item, one to a line, whichever the layout:
//
//	{"Item":{"age":{"N":"34"},"job":{"S":"admin."}}}    DynamoDB's export
//	{"age":{"n":"34"},"job":{"s":"admin."}}             EMR connector
//	age^C{"n":"34"}^Bjob^C{"s":"admin."}                Hive-made; ^C is 0x03, ^B 0x02
//
// A file may be compressed with gzip; its first bytes tell, not its name.
//
// # What is written
//
// Training CSV as SageMaker's built-in algorithms take it: the label first, no
// header, the encoded columns in the schema's order. A customer that breaks the
// schema is left out and counted under one reason; no row is ever shifted or
// padded. The [Report] accounts for every item: items = rows + skipped.
//
// The order of the rows depends on the customers' ids alone (see [Held] for the
// hash), not on the order of the export, and is as good as shuffled. The same
// customers give the same bytes in every layout of the export. Nothing is written
// before the whole export has been read and verified.
//
// Memory is bounded by [Options.Memory] for exports of every size: rows beyond it
// go through temporary files.
//
// # What it does not know
//
// Where files live (an [io/fs.FS] for reading and a [Target] for writing are
// all it asks for), what a model is, and when to export. Broken input is a
// [*gateway/internal/predict.Error] of kind Invalid that names the file, a
// missing export one of kind NotFound; any other error is the file system's,
// and trying again may help.
package export
