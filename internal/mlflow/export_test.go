package mlflow

// ParseDescription is parseDescription.
var ParseDescription = parseDescription
