"""Arrays that users pass: their conversion to numbers and to class numbers."""
