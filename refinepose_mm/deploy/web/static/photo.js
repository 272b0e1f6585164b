// A photo as the network and the page need it: upright, as its EXIF orientation says.

const MOST_PIXELS = 16e6; // of a canvas that every browser has; larger photos are shrunk

// Read a file: pixels (ImageData) at `shrunk` times its size, and width and height of the photo.
// Colour profiles are ignored, as OpenCV does.
export async function readPhoto(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: 'from-image', colorSpaceConversion: 'none',
    });
  } catch {
    throw new Error(`${file.name} is not a photo that this browser can read.`);
  }
  const { width, height } = bitmap;
  const shrunk = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * shrunk);
  canvas.height = Math.round(height * shrunk);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  return { name: file.name, url: URL.createObjectURL(file), width, height, pixels, shrunk };
}
