"""Where samples come from: arrays, folders of pictures, TFRecords. data.read() is the door."""
