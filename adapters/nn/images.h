/* images.h: rows for convolution and pooling. An image is a row of a matrix: its pixels line by line, the channels of a pixel
 * side by side. im2col makes a row of each place that a kernel covers, so a convolution is dense, and what dense gives is a
 * matrix of images already. */
/* clang-format off */
#define PLACES "let lines = (height + 2L * pad - size) / stride + 1L; let wide = (width + 2L * pad - size) / stride + 1L; "
#define FITS(name) MATRIX(name, "x") " & " \
    SAME(name ": x has {} columns, but an image has {} values", "x.$2", "height * width * channels") " & " \
    CHECK_TWO("size > 0L && stride > 0L", name ": size is {} and stride is {}, but both are from 1 on", "size", "stride") " & " \
    "assert(pad >= 0L, \"" name ": pad is {}, but is from 0 on\", pad) & " \
    CHECK_TWO("size <= height + 2L * pad && size <= width + 2L * pad", \
        name ": size is {}, but the image with its borders is only {} wide or high", "size", "min(height, width) + 2L * pad")
#define PLACE "let top = r / wide % lines * stride - pad; let left = r % wide * stride - pad; " \
    "let image = r / (lines * wide) * x.$2; "
FUSES("im2col", "|x, height, width, channels, size, stride, pad| " PLACES
    "let rows = " CHECKED(FITS("im2col"), "x.$1 * lines * wide") "; let columns = size * size * channels; "
    "{result(for(" RANGE("rows") ", appender(rows * columns), |out, i, r| " PLACE
    "for(rangeiter(top, top + size, 1L), out, |o, ky, y| for(rangeiter(left, left + size, 1L), o, |p, kx, x1| "
    "let inside = y >= 0L && y < height && x1 >= 0L && x1 < width; "
    "let at = select(inside, image + (y * width + x1) * channels, 0L); "
    "for(rangeiter(at, at + channels, 1L), p, |q, c, e| merge(q, select(inside, lookup(x.$0, e), " ZERO ")))))))"
    ", rows, columns}",
    "a row of size size channels elements for each place of a square kernel on each image; beyond the borders, pad wide, is 0")
FUSES("conv2d", "|x, w, b, height, width, channels, size, stride, pad| " PLACES
    "nn.reshape(nn.dense(nn.im2col(x, height, width, channels, size, stride, pad), w, b), x.$1, lines * wide * w.$1)",
    "a convolution: images, the pixels line by line, with a channel for each row of w, size size channels wide")
#define POOLED(name, op, after) "|x, height, width, channels, size, stride| let pad = 0L; " PLACES \
    "let rows = " CHECKED(FITS(name), "x.$1 * lines * wide") "; " after(let) \
    "{result(for(" RANGE("rows") ", appender(rows * channels), |out, i, r| " PLACE \
    "for(" RANGE("channels") ", out, |o, k, c| merge(o, result(for(" RANGE("size * size") ", merger[?, " op "], " \
    "|m, j, p| merge(m, lookup(x.$0, image + ((top + p / size) * width + left + p % size) * channels + c))))" after(use) "))))" \
    ", x.$1, lines * wide * channels}"
#define NOTHING(what) ""
#define MEAN_let "let area = " REAL("size * size") "; "
#define MEAN_use " / area"
#define MEAN_OF(what) MEAN_##what
FUSES("max_pool", POOLED("max_pool", "max", NOTHING), "the greatest of each channel in each square of this size, a stride apart")
FUSES("average_pool", POOLED("average_pool", "+", MEAN_OF), "the mean of each channel in each square of this size, a stride apart")
/* clang-format on */
