"""Lives whose readout is solved, one example at a time and exactly, on features that stay fixed; no example is stored.

| file | what is solved |
| --- | --- |
| `life` | what all of them share: features, checks, saving; the interface of a readout |
| `least_squares` | recursive least squares with forgetting and predictive variance; the same in one batch, differentiable |
| `least_mean_squares` | normalised least mean squares, one step of descent with the right length |
| `class_means` | the mean of every class, Euclidean or cosine |
| `conjugate_bayes` | a Gaussian for every class and feature, its variance unknown, under a prior that may be meta-learned |
| `discriminant` | class means under one covariance, innate or streaming |
"""
