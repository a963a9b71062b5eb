"""The lab report that this project grew from, measured again on the machine at hand."""
