"""A NetDef as a torch.fx graph: the importer, its operators, fills and passes."""
