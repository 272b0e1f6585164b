"""What a model does on its test data, on one page: `refinepose report`."""
