# Is a tumour malignant? Logistic regression by stochastic gradient descent:
#     awk -v lr=0.1 -f train.awk cancer.csv
# The last column is what is to be predicted. A fifth of the rows is left for validation.
BEGIN {
    FS = ","
    epochs = 12
    srand(seed == "" ? 1 : seed)
}
NR == 1 { next } # the names of the columns
{
    n++
    for (j = 1; j < NF; j++) {
        x[n, j] = $j
        sum[j] += $j
        squares[j] += $j * $j
    }
    y[n] = $NF
    columns = NF - 1
}
END {
    for (j = 1; j <= columns; j++) {
        mean = sum[j] / n
        deviation = sqrt(squares[j] / n - mean * mean)
        for (i = 1; i <= n; i++) x[i, j] = (x[i, j] - mean) / deviation
    }
    held = int(n / 5)
    for (epoch = 1; epoch <= epochs; epoch++) {
        for (k = 1; k <= n - held; k++) {
            i = held + 1 + int(rand() * (n - held))
            error = predicted(i) - y[i]
            weight[0] -= lr * error
            for (j = 1; j <= columns; j++) weight[j] -= lr * error * x[i, j]
        }
        loss = 0
        for (i = 1; i <= held; i++) {
            p = y[i] == 1 ? predicted(i) : 1 - predicted(i)
            loss -= log(p > 1e-12 ? p : 1e-12) / held
        }
        printf "{\"step\": %d, \"validation_loss\": %.6f}\n", epoch, loss
    }
}
function predicted(row, z, column) {
    z = weight[0]
    for (column = 1; column <= columns; column++) z += weight[column] * x[row, column]
    return z < -700 ? 0 : 1 / (1 + exp(-z))
}
