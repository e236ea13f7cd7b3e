package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/dataguardian/dataguardian/internal/domain"
	"github.com/dataguardian/dataguardian/internal/engine"
)

// sampleDocuments is how many documents of a collection are looked at for their fields.
const sampleDocuments = 20

// Schema lists the server's databases and the collections of the datasource's, or of every database where
// it names none. A collection has no columns: these are the top fields of its first documents.
func (e *Engine) Schema(ctx context.Context, src engine.Source) (domain.Schema, error) {
	client, err := connect(ctx, src)
	if err != nil {
		return domain.Schema{}, err
	}
	defer disconnect(client)
	schema := domain.Schema{Objects: []domain.SchemaObject{}}
	// A user of one database may not see the others.
	if schema.Databases, err = client.databases(ctx); err != nil && src.Config.Database == "" {
		return domain.Schema{}, err
	}
	databases := schema.Databases
	if src.Config.Database != "" {
		databases = []string{src.Config.Database}
	}
	columns := 0
	for _, database := range databases {
		found, err := client.collections(ctx, database)
		if err != nil {
			return domain.Schema{}, err
		}
		for _, s := range found {
			if isOwn(s.Name) {
				continue
			}
			if len(schema.Objects) == domain.MaxSchemaObjects {
				schema.Truncated = true
				return schema, nil
			}
			object, err := client.describe(ctx, database, s, domain.MaxSchemaColumns-columns)
			if err != nil {
				return domain.Schema{}, err
			}
			columns += len(object.Columns)
			schema.Truncated = schema.Truncated || columns >= domain.MaxSchemaColumns
			schema.Objects = append(schema.Objects, object)
		}
	}
	return schema, nil
}

// describe looks at one collection; a view is not computed for it.
func (c *session) describe(ctx context.Context, database string, s *mongo.CollectionSpecification, maxColumns int) (domain.SchemaObject, error) {
	object := domain.SchemaObject{Database: database, Name: s.Name, Kind: "collection", Rows: -1, Bytes: -1}
	if s.Type == typeView {
		object.Kind = typeView
		return object, nil
	}
	var stats bson.M
	err := c.Database(database).RunCommand(ctx, bson.D{{Key: "collStats", Value: s.Name}}).Decode(&stats)
	if err == nil { // a user with read alone may not ask
		object.Rows, object.Bytes = number(stats["count"]), number(stats["storageSize"])+number(stats["totalIndexSize"])
	}
	object.Columns, err = c.fields(ctx, database, s.Name, maxColumns)
	return object, err
}

// fields are the names and types of the top fields of some documents.
func (c *session) fields(ctx context.Context, database, collection string, most int) ([]domain.SchemaColumn, error) {
	op := "look at documents of " + collection
	cursor, err := c.Database(database).Collection(collection).Find(ctx, bson.D{}, options.Find().SetLimit(sampleDocuments).SetBatchSize(sampleDocuments))
	if err != nil {
		return nil, classify(op, err)
	}
	defer cursor.Close(ctx)
	var columns []domain.SchemaColumn
	for cursor.Next(ctx) {
		elements, err := cursor.Current.Elements()
		if err != nil {
			return nil, classify(op, err)
		}
		for _, element := range elements {
			name, kind := element.Key(), element.Value().Type.String()
			i := slices.IndexFunc(columns, func(column domain.SchemaColumn) bool { return column.Name == name })
			switch {
			case i >= 0 && columns[i].Type != kind:
				columns[i].Type = "mixed"
			case i < 0 && len(columns) < most:
				columns = append(columns, domain.SchemaColumn{Name: name, Type: kind, Nullable: name != "_id"})
			}
		}
	}
	return columns, classify(op, cursor.Err())
}
