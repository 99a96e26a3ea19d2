"""The figures of the paper on weight noise, one a file: settings, measurement, drawing, checks."""
