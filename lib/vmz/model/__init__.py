"""A network with its weights, the names of its classes and the clips it takes: what load_model gives."""
