package mongodb

// Patched is a document after an update as MongoDB 5 and newer write it into the oplog.
var Patched = patched
